"""Reading what became of webhooks, by tenants and operators, and processing one again."""

import json
from urllib.parse import quote

import pytest
from sqlalchemy import update

from tests.integration.webhooks.steps import assert_refused, connection, join
from tests.support.commands import run, run_json
from tests.support.service import ON_SQLITE, now_text
from videoconf.db.transactions import write
from videoconf.webhooks.models import WebhookEvent

PATH = "/webhook-events"


@pytest.fixture
def tenant(service):
    """A caller of another tenant who may read webhook events, but may not operate the service."""
    return service.caller_with(["GetWebhookEvents", "CreateMeetingSession", "GenerateMeetingToken"], tenant="acme")


def statuses(answer):
    assert answer.status == 200, answer
    return [one["status"] for one in answer.json]


def orphan(service):
    return service.made_up("connection.created", connection=connection())


def visited(service, attendee, caller=None):
    """Hold a meeting with a participant; return its link."""
    link, joined = join(service, caller=caller, attendee=attendee)
    assert service.post(joined).status == 204
    return link


def test_tenant_sees_the_events_of_its_own_meetings_alone(service, tenant):
    ours, theirs = visited(service, "ann"), visited(service, "bob", tenant)
    assert service.post(orphan(service)).status == 204
    assert_refused(service.post(service.forged()))

    [seen] = tenant("GET", PATH).json
    assert (seen["meetingLink"], seen["status"], seen["kind"]) == (theirs, "applied", "joined")
    assert tenant("GET", f"{PATH}?meetingLink={ours}").json == []
    without = service.caller_with(["GetWebhookEvents"])
    assert [one["meetingLink"] for one in without("GET", PATH).json] == [ours]
    operator = service.caller_with(["GetWebhookEvents", "ManageOperations"])
    assert statuses(operator("GET", PATH)) == ["orphan", "applied"], "and nothing of other tenants"


@pytest.mark.parametrize("status", ["orphan", "rejected"])
def test_tenant_without_operations_is_refused(service, tenant, status):
    assert tenant("GET", f"{PATH}?status={status}").problem == (403, "forbidden")
    operator = service.caller_with(["GetWebhookEvents", "ManageOperations"])
    assert operator("GET", f"{PATH}?status={status}").json == []


def test_events_are_filtered_and_paged(service, clock):
    link = service.api.create()
    session = service.room(link)
    for number in range(3):
        event = service.made_up("connection.created", session, connection=connection(f"c{number}"))
        assert service.post(event).status == 204
    at = now_text(days=-4)
    late = service.made_up("connection.created", session, at=at, connection=connection(created_at=at))
    clock.step(hours=1)
    assert service.post(service.signed(late.body, late.event_id)).status == 204

    [quarantined] = service.api("GET", f"{PATH}?status=quarantined").json
    assert quarantined["reason"] == "Its time is too far from its arrival."
    assert quarantined["receivedOn"] == clock.text()
    since = quote(quarantined["receivedOn"])
    assert statuses(service.api("GET", f"{PATH}?since={since}")) == ["quarantined"]
    assert statuses(service.api("GET", f"{PATH}?meetingLink={link}")) == ["quarantined", *["applied"] * 3]
    page = service.api("GET", f"{PATH}?page=2&pageSize=3")
    assert len(page.json) == 1
    assert json.loads(page.headers["X-Pagination"])["total"] == 4


def test_quarantined_webhook_leaves_one_line_in_the_log(service, caplog):
    assert service.post(service.signed(b"no json")).status == 204
    lines = [record.getMessage() for record in caplog.records if "webhook" in record.getMessage()]
    about = f"provider {service.provider.key}, channel session"
    assert lines == [f"webhook quarantined: {about}: It cannot be read (JSONDecodeError)."]


def test_command_lists_every_tenants_events(service, app, tenant):
    theirs = visited(service, "bob", tenant)
    assert service.post(orphan(service)).status == 204
    listed = run_json(app, "webhooks", "list")
    assert [(one["status"], one["meetingLink"]) for one in listed] == [("orphan", None), ("applied", theirs)]
    assert [one["status"] for one in run_json(app, "webhooks", "list", "--status", "orphan")] == ["orphan"]
    assert [one["meetingLink"] for one in run_json(app, "webhooks", "list", "--meeting", theirs)] == [theirs]
    assert run_json(app, "webhooks", "list", "--since", "2100-01-01") == []


def test_command_shows_the_body_without_secrets(service, app):
    packed = json.dumps({"password": "tops3cret-3"})
    members = {"token": "tops3cret-1", "nested": {"apiSecret": ["tops3cret-2"]}, "data": f"packed:{packed}"}
    url = "https://bucket.example/a.mp4?signature=tops3cret-4"
    event = service.made_up("moon.risen", url=url, text="eyJhbGciOiJI.eyJzdWIiOiIx.tops3cret-5", **members)
    assert service.post(event).status == 204
    [listed] = run_json(app, "webhooks", "list")
    shown = run(app, "webhooks", "show", str(listed["id"])).stdout
    assert "moon.risen" in shown
    assert "https://bucket.example/a.mp4?***" in shown
    assert "tops3cret" not in shown
    assert run(app, "webhooks", "show", "999999").exit_code == 1


@ON_SQLITE
def test_command_blanks_secrets_of_a_body_that_is_not_json(service, app):
    assert service.post(service.signed(b'half an object {"token": "tops3cret-1", secret=tops3cret-2&x')).status == 204
    [listed] = run_json(app, "webhooks", "list")
    shown = run(app, "webhooks", "show", str(listed["id"])).stdout
    assert "half an object" in shown
    assert "tops3cret" not in shown


def test_command_says_that_a_body_was_deleted(service, app):
    assert service.post(service.made_up("moon.risen")).status == 204
    [listed] = run_json(app, "webhooks", "list")
    with app.app_context(), write() as session:
        session.execute(update(WebhookEvent).values(body=None))
    assert "The raw body was deleted." in run(app, "webhooks", "show", str(listed["id"])).stdout
    refused = run(app, "webhooks", "replay", str(listed["id"]))
    assert refused.exit_code == 1
    assert "body was deleted" in refused.output


def test_replay_applies_an_event_that_an_upgrade_can_read(service, app):
    service.provider.script("parse_webhook", ValueError("not yet"), always=True)
    link = visited(service, "ann")
    assert service.api.attendees(link) == []
    [listed] = run_json(app, "webhooks", "list")
    again = run(app, "webhooks", "replay", str(listed["id"]))
    assert again.stdout == "quarantined: It cannot be read (ValueError).\n"

    service.provider.script("parse_webhook")
    for _ in range(2):
        assert run(app, "webhooks", "replay", str(listed["id"]), "--actor", "ops").stdout.startswith("ignored: ")
        assert [one["attendee"] for one in service.api.attendees(link)] == ["ann"]
    assert [one["status"] for one in run_json(app, "webhooks", "list")] == ["applied", "ignored"]
    entries = service.api("GET", "/audit?actor=ops").json
    assert [(one["action"], one["target"]) for one in entries] == [("webhook.replayed", str(listed["id"]))] * 2


def test_replay_of_a_body_without_its_secrets_is_quarantined(service, app):
    service.provider.script("storable_body", b"no json: ***", always=True)
    assert service.post(service.signed(b"no json: tops3cret")).status == 204
    [listed] = run_json(app, "webhooks", "list")
    for _ in range(2):
        assert run(app, "webhooks", "replay", str(listed["id"])).stdout.startswith("quarantined: It cannot be read")
    assert run_json(app, "webhooks", "list") == [listed]


def test_replay_applies_an_orphan_whose_meeting_is_known(service, app):
    link = visited(service, "ann")
    [listed] = run_json(app, "webhooks", "list")
    with app.app_context(), write() as session:  # as if its meeting had not been known
        session.execute(update(WebhookEvent).values(status="orphan"))
    assert run(app, "webhooks", "replay", str(listed["id"])).stdout == "applied\n"
    assert [one["status"] for one in run_json(app, "webhooks", "list")] == ["applied"]
    assert len(service.api.attendees(link)) == 1


@ON_SQLITE
def test_replay_keeps_an_orphan_an_orphan(service, app):
    assert service.post(orphan(service)).status == 204
    [listed] = run_json(app, "webhooks", "list")
    assert run(app, "webhooks", "replay", str(listed["id"])).stdout == "orphan\n"
    assert run(app, "webhooks", "replay", "999999").exit_code == 1
