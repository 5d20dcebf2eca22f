"""Webhooks are forgotten by age, and people on request; what remains answers as before."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from tests.integration.attendance.model import Event
from tests.integration.attendance.scripted import Script
from videoconf.api.services import services
from videoconf.audit import AuditEntry
from videoconf.cli.main import commands
from videoconf.db import batches
from videoconf.db.transactions import read
from videoconf.db.types import db
from videoconf.webhooks import retention
from videoconf.webhooks.models import WebhookEvent
from videoconf.webhooks.retention import InboxRetention


@pytest.fixture
def script(service):
    script = Script(service)
    script.link = script.create()
    return script


def prune(app, clock):
    with app.app_context():
        InboxRetention(services(app).settings, clock).run()


def inbox(app):
    with app.app_context(), read() as session:
        return tuple(session.execute(select(func.count(), func.count(WebhookEvent.body))).one())


def test_deletion_of_old_webhooks_changes_no_answer(script, app, clock, monkeypatch):
    for module in (batches, retention):
        monkeypatch.setattr(module, "ROWS_PER_BATCH", 3)
    begin = clock.now
    events = [Event("joined", begin, f"c{number}", "ann") for number in range(8)]
    events += [Event("left", begin + timedelta(minutes=5), f"c{number}") for number in range(8)]
    for event in events:
        script.deliver([event])
    clock.step(hours=23)
    script.deliver([Event("joined", clock.now, "late", "bob")])
    prune(app, clock)
    assert inbox(app) == (17, 17)
    clock.step(hours=1, seconds=1)
    prune(app, clock)
    assert inbox(app) == (17, 1)
    clock.step(days=13)
    answer = script.service.api.attendees(script.link)
    prune(app, clock)
    assert inbox(app) == (1, 0)
    assert script.service.api.attendees(script.link) == answer
    clock.step(days=1)
    prune(app, clock)
    assert inbox(app) == (0, 0)


def test_redelivery_of_a_deleted_webhook_changes_nothing(script, app, clock, monkeypatch):
    events = [Event("joined", clock.now, "c", "ann", "Ann"), Event("left", clock.now, "c", reason="left")]
    script.deliver(events)
    answer = script.service.api.attendees(script.link)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("DELETE FROM webhook_event"))
    script.deliver(events[::-1])
    assert script.service.api.attendees(script.link) == answer


def test_inbox_is_pruned_every_hour(app):
    assert services(app).jobs.works["prune_inbox"].every_seconds == 3600


# --- people ---------------------------------------------------------------------------------------------------------


def run(app, *arguments):
    result = app.test_cli_runner().invoke(commands, ["person", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def meetings(service, clock):
    """Two meetings with ann and bob, and one of another tenant with another ann."""
    scripts = []
    for number in range(2):
        script = Script(service)
        script.link = script.create()
        scripts.append(script)
        script.deliver(
            [
                Event("joined", clock.now, f"a{number}", "ann", "Ann"),
                Event("joined", clock.now, f"b{number}", "bob", "Bob"),
            ]
        )
    other = Script(service)
    service.provider.session_id = other.session_id
    other.api = service.caller_with(tenant="other")
    other.link = other.api.create()
    other.deliver([Event("joined", clock.now, "a9", "ann", "Other Ann")])
    return [*scripts, other]


def test_export_has_a_person_across_meetings_of_one_tenant(app, meetings):
    document = json.loads(run(app, "export", "ann"))
    assert document["attendee"] == "ann"
    assert [(one["meetingLink"], one["connectionId"], one["name"]) for one in document["connections"]] == [
        (meetings[0].link, "a0", "Ann"),
        (meetings[1].link, "a1", "Ann"),
    ]
    others = json.loads(run(app, "export", "ann", "--tenant", "other"))
    assert [one["connectionId"] for one in others["connections"]] == ["a9"]
    assert json.loads(run(app, "export", "unknown"))["connections"] == []


def everything(app):
    """Read every text of every table."""
    with app.app_context(), read() as session:
        return "\n".join(
            str(tuple(bytes(value) if isinstance(value, memoryview) else value for value in row))
            for table in db.metadata.sorted_tables
            for row in session.execute(table.select())
        )


def test_erased_person_stays_erased_after_late_webhooks(app, meetings, clock):
    first, second, _ = meetings
    before = first.service.api("GET", f"/session/{first.link}/attendance").json
    assert "2 connections" in run(app, "erase", "ann", "--actor", "dpo")
    assert "Other Ann" in everything(app), "another tenant's ann is another person"
    for script in (first, second):
        people = script.service.api.attendees(script.link)
        assert sorted((person["attendee"] or "", person["name"]) for person in people) == [("", None), ("bob", "Bob")]
        script.deliver([Event("left", clock.now, "a0" if script is first else "a1", "ann", "Ann", reason="left")])
        people = script.service.api.attendees(script.link)
        assert sorted((person["attendee"] or "", person["active"]) for person in people) == [("", False), ("bob", True)]
    after = first.service.api("GET", f"/session/{first.link}/attendance").json
    assert after["connectionCount"] == before["connectionCount"], "reports still add up"
    assert json.loads(run(app, "export", "ann"))["connections"] == []


def test_erased_person_leaves_no_data_in_the_database(app, service, clock):
    script = Script(service)
    script.link = script.create()
    script.deliver([Event("joined", clock.now, "a0", "person-4711", "Erika Mustermann")])
    assert "person-4711" in everything(app)
    run(app, "erase", "person-4711")
    stored = everything(app)
    assert "person-4711" not in stored
    assert "Mustermann" not in stored
    run(app, "erase", "person-4711")


def test_export_and_erasure_are_audited_without_the_id(app, meetings):
    run(app, "export", "ann")
    run(app, "erase", "ann", "--actor", "dpo")
    with app.app_context(), read() as session:
        entries = session.execute(select(AuditEntry).where(AuditEntry.action.like("person.%"))).scalars().all()
    assert [(entry.actor, entry.action, entry.after) for entry in entries] == [
        ("operator", "person.exported", {"connections": 2}),
        ("dpo", "person.erased", {"connections": 2}),
    ]
    assert len({entry.target for entry in entries}) == 1
    assert all(entry.target.startswith("sha256:") for entry in entries)
    run(app, "export", "ann", "--tenant", "other")
    with app.app_context(), read() as session:
        theirs = (AuditEntry.tenant == "other", AuditEntry.action == "person.exported")
        of_other = session.execute(select(AuditEntry.target).where(*theirs)).scalar_one()
    assert of_other != entries[0].target, "a digest does not show that two tenants know one person"
