"""A tenant's list has every event of its meetings, whenever the meeting came and whichever release stored the event."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from tests.integration.attendance.model import Event
from tests.integration.attendance.scripted import Script
from tests.support.service import ON_POSTGRESQL, at_once
from videoconf.api.services import services
from videoconf.db.transactions import read, write
from videoconf.webhooks.models import UNKNOWN, WebhookEvent

PATH = "/webhook-events"


@pytest.fixture
def tenant(service):
    """A caller of another tenant, who does not operate the service."""
    return service.caller_with(["GetWebhookEvents", "CreateMeetingSession"], tenant="acme")


def listed(caller, query=""):
    answer = caller("GET", f"{PATH}?{query}")
    assert answer.status == 200, answer
    return [(one["status"], one["meetingLink"]) for one in answer.json]


def tenants_of(app):
    with app.app_context(), read() as session:
        return list(session.execute(select(WebhookEvent.tenant).order_by(WebhookEvent.id)).scalars())


def change(app, **values):
    with app.app_context(), write() as session:
        session.execute(update(WebhookEvent).values(**values))


def deliver_all_kinds(script, clock):
    """Post what is applied, what changes nothing, and what cannot be true."""
    script.deliver([Event("joined", clock.now, "c", "ann")])
    script.deliver([Event("ignored", clock.now, "c")])
    script.deliver([Event("joined", clock.now - timedelta(days=9), "d", "bob")])


def test_events_before_their_meeting_are_its_tenants_later(service, app, clock, tenant):
    script = Script(service)
    deliver_all_kinds(script, clock)
    assert listed(tenant) == []
    assert listed(service.api) == [("quarantined", None), ("ignored", None), ("orphan", None)]
    service.provider.session_id = script.session_id
    link = tenant.create()
    assert listed(tenant) == [("quarantined", link), ("ignored", link), ("applied", link)]
    assert listed(service.api) == [], "an operator of another tenant"
    assert tenants_of(app) == ["acme"] * 3


def test_meeting_without_orphans_takes_the_events_that_waited(service, app, clock, tenant):
    script = Script(service)
    script.deliver([Event("ignored", clock.now, "c")])
    Script(service).deliver([Event("ignored", clock.now, "c")])
    service.provider.session_id = script.session_id
    link = tenant.create()
    assert listed(tenant) == [("ignored", link)]
    assert tenants_of(app) == ["acme", UNKNOWN]


def test_rows_of_an_older_node_are_placed_by_a_job(service, app, clock, tenant):
    script = Script(service)
    service.provider.session_id = script.session_id
    link = tenant.create()
    deliver_all_kinds(script, clock)
    Script(service).deliver([Event("joined", clock.now, "c", "ann")])
    change(app, tenant=None)
    assert listed(tenant) == listed(service.api) == []
    assert len(listed(tenant, f"meetingLink={link}")) == 3, "by its session"
    with app.app_context():
        services(app).jobs.run_now("place_events")
    assert listed(tenant) == [("quarantined", link), ("ignored", link), ("applied", link)]
    assert listed(service.api) == [("orphan", None)]
    assert tenants_of(app) == [*["acme"] * 3, UNKNOWN]


def test_orphan_that_an_older_node_applied_is_placed_by_a_job(service, app, clock, tenant):
    script = Script(service)
    service.provider.session_id = script.session_id
    link = tenant.create()
    script.deliver([Event("joined", clock.now, "c", "ann")])
    change(app, tenant=UNKNOWN)
    assert listed(tenant) == listed(service.api) == []
    with app.app_context():
        services(app).jobs.run_now("place_events")
    assert listed(tenant) == [("applied", link)]


def test_meeting_applies_the_orphan_of_an_older_node(service, app, clock, tenant):
    script = Script(service)
    script.deliver([Event("joined", clock.now, "c", "ann")])
    change(app, tenant=None)
    service.provider.session_id = script.session_id
    link = tenant.create()
    assert listed(service.caller_with(tenant="acme"), f"meetingLink={link}") == [("applied", link)]
    assert len(service.caller_with(tenant="acme").attendees(link)) == 1


@ON_POSTGRESQL
def test_ignored_event_finds_the_meeting_or_is_found(service, app, clock):
    """In either order, and at the same moment: no event stays without its tenant."""
    for _ in range(8):
        script = Script(service)
        at_once([script.create, lambda script=script: script.deliver([Event("ignored", clock.now, "c")])])
    assert tenants_of(app) == ["default"] * 8
