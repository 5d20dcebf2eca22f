"""The audit trail: every change has one entry that says who, what, when, from what and to what; no refusal has any."""

import pytest
from sqlalchemy import select

from tests.support.service import at_once, credential
from videoconf.audit import AuditEntry
from videoconf.db.transactions import read
from videoconf.errors import ProviderUnavailable


@pytest.fixture
def app_options(clock):
    return {"clock": clock}


def entries(app):
    with app.app_context(), read() as session:
        return list(session.execute(select(AuditEntry).order_by(AuditEntry.id)).scalars())


@pytest.mark.needs("automatic_archiving")
def test_trail_has_the_life_of_a_meeting(service, app, clock):
    def by(subject):
        return service.caller_with(subject=subject, tenant="acme")

    link = by("maker")("POST", "/session", {"extId": "a", "enableArchiving": True}, X_Request_ID="request-1").json
    by("editor")("PATCH", f"/session/{link}", {"extId": "b", "isScheduled": True, "scheduleTime": clock.text(hours=1)})
    by("host")("PATCH", f"/session/{link}/end", X_Request_ID="request-3")
    by("cleaner")("DELETE", f"/session/{link}")

    told = entries(app)
    assert [(one.actor, one.action) for one in told] == [
        ("maker", "meeting.created"),
        ("editor", "meeting.edited"),
        ("host", "meeting.ended"),
        ("cleaner", "meeting.deleted"),
    ]
    assert {(one.tenant, one.meeting_link) for one in told} == {("acme", link)}
    assert [one.at for one in told] == sorted(one.at for one in told)
    assert (told[0].request_id, told[2].request_id) == ("request-1", "request-3")
    created, edited, ended, _ = told
    assert created.before is None
    assert created.after == {"ext_id": "(not recorded)", "enable_archiving": True, "provider": service.provider.key}
    assert edited.before == {"ext_id": "(not recorded)", "is_scheduled": False, "schedule_time": None}
    assert edited.after.keys() == edited.before.keys()
    assert (edited.after["ext_id"], edited.after["is_scheduled"]) == ("(not recorded)", True)
    assert ended.after.keys() == {"end_time"}


def test_delete_of_a_running_meeting_records_its_end_too(service, app):
    service.api("DELETE", f"/session/{service.api.create()}")
    assert [one.action for one in entries(app)] == ["meeting.created", "meeting.ended", "meeting.deleted"]


def test_calls_that_change_nothing_leave_no_entry(service, app, clock):
    api = service.api
    link, ended, deleted = api.create(extId="a"), api.create(), api.create()
    api("PATCH", f"/session/{ended}/end")
    api("DELETE", f"/session/{deleted}")
    before = [one.id for one in entries(app)]

    api("PATCH", f"/session/{link}", {"extId": "a"})
    api("PATCH", f"/session/{link}", api.read(link))
    for path in ("", "/token", "/attendees"):
        api("GET", f"/session/{link}{path}")
    api.token(link)
    refused = [
        api("POST", "/session", {"isScheduled": True}),
        api("PATCH", f"/session/{link}", {"isScheduled": True}),
        api("PATCH", f"/session/{ended}", {"extId": "b"}),
        api("PATCH", f"/session/{ended}/end"),
        api("DELETE", f"/session/{deleted}"),
        service.caller_with("GetMeetings")("PATCH", f"/session/{link}/end"),
        service.caller_with(tenant="other")("DELETE", f"/session/{link}"),
        service.stranger("POST", "/session"),
    ]
    assert all(answer.status >= 400 for answer in refused)
    assert [one.id for one in entries(app)] == before


@pytest.mark.needs("eager", long=True)
def test_failed_create_leaves_no_entry(service, app):
    service.provider.script("ensure_session", ProviderUnavailable(), always=True)
    assert service.api("POST", "/session").status == 503
    assert entries(app) == []


def test_one_change_by_many_calls_leaves_one_entry(service, app):
    link = service.api.create()
    at_once([lambda: service.api("PATCH", f"/session/{link}/end")] * 6)
    assert [one.action for one in entries(app)] == ["meeting.created", "meeting.ended"]


def test_trail_omits_tokens_and_attendees(service, app):
    link = service.api.create()
    token = credential(service.api.token(link, attendee="ann"))
    service.api("PATCH", f"/session/{link}/end")
    assert token not in str([vars(one) for one in entries(app)])
    assert "ann" not in str([vars(one) for one in entries(app)])


@pytest.mark.needs("archiving", "the fake")
def test_trail_omits_free_text_of_callers(service, app):
    secret = "Ada Lovelace"
    link = service.api.create(extId=secret, extMetadata={secret: {"patient": secret}})
    service.api("POST", "/session", {"providerOptions": {"region": "eu"}, "extMetadata": {}})
    service.join(link)
    service.deliver()
    archive = service.api("POST", f"/session/{link}/archives", {"name": secret}).json["id"]
    service.api("PATCH", f"/archives/{archive}", {"name": f"{secret} 2"})
    service.api("PATCH", f"/session/{link}", {"extId": f"{secret} 2", "extMetadata": {"patient": secret}})
    service.api("PATCH", f"/session/{link}", {"extId": None, "extMetadata": None})
    told = entries(app)
    assert told[1].after == {"provider": "fake", "provider_options": "(not recorded)"}
    assert secret not in str([vars(one) for one in told])
    assert [one.action for one in told].count("meeting.edited") == 2
    last = told[-1]
    assert last.before == {"ext_id": "(not recorded)", "ext_metadata": "(not recorded)"}
    assert last.after == {"ext_id": None, "ext_metadata": None}, "the entry says that it was taken off"
