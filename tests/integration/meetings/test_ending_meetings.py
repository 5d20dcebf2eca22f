"""Ending and deleting a meeting."""

import pytest

from tests.support.service import ON_SQLITE, moment


def test_end_disconnects_every_participant(service):
    api = service.api
    link = api.create()
    service.join(link, attendee="ann")
    service.join(link, attendee="bob")
    service.deliver()
    session_id = api.read(link)["sessionId"]
    assert len(service.fake.list_connections(session_id)) == 2

    host = service.caller_with(subject="host")
    answer = host("PATCH", f"/session/{link}/end")
    assert (answer.status, answer.body) == (204, b"")
    assert "Content-Type" not in answer.headers

    ended = api.read(link)
    assert (ended["status"], ended["modifiedBy"], ended["deleted"]) == ("ended", "host", False)
    assert moment(ended["startTime"]) < moment(ended["endTime"]) <= moment(ended["modifiedOn"])
    assert service.fake.list_connections(session_id) == []
    people = api.attendees(link)
    assert sorted((person["attendee"], person["active"]) for person in people) == [("ann", False), ("bob", False)]
    for person in people:  # before any webhook says so
        [connection] = person["connections"]
        assert connection["left"] == ended["endTime"]
        assert connection["inferred"] is True
    service.deliver()
    if service.provider.key == "fake":  # others report the end of the session alone, or give reasons of their own
        for person in api.attendees(link):
            assert person["connections"][0]["inferred"] is False
            assert person["connections"][0]["reason"] == "forced"

    for method, path in (("PATCH", ""), ("PATCH", "/end"), ("POST", "/token")):
        assert api(method, f"/session/{link}{path}").problem == (409, "meeting_ended")
    assert api.read(link) == ended


def test_scheduled_meeting_can_end_before_it_begins(api, clock):
    link = api.create(isScheduled=True, scheduleTime=clock.text(days=1))
    assert api("PATCH", f"/session/{link}/end").status == 204
    assert (api.read(link)["status"], api.read(link)["startTime"]) == ("ended", None)


@ON_SQLITE
def test_end_accepts_any_body(api):
    for body, media_type in ((None, ""), (b"{}", "application/json"), (b"", "application/json")):
        answer = api("PATCH", f"/session/{api.create()}/end", body, Content_Type=media_type)
        assert answer.status == 204


@pytest.mark.needs
def test_delete_ends_a_running_meeting_and_keeps_its_row(service):
    api = service.api
    link = api.create()
    service.join(link, attendee="ann")
    service.deliver()

    assert service.caller_with(subject="cleaner")("DELETE", f"/session/{link}").status == 204
    meeting = api.read(link)
    assert (meeting["deleted"], meeting["deletedBy"], meeting["status"]) == (True, "cleaner", "deleted")
    assert moment(meeting["deletedOn"]) >= moment(meeting["endTime"]) >= moment(meeting["startTime"])
    assert service.fake.list_connections(meeting["sessionId"]) == []
    assert [(person["attendee"], person["active"]) for person in api.attendees(link)] == [("ann", False)]
    assert api("GET", "/session").json == []

    for method, path in (("PATCH", ""), ("PATCH", "/end"), ("POST", "/token")):
        assert api(method, f"/session/{link}{path}").problem == (409, "meeting_ended")
    assert api("DELETE", f"/session/{link}").problem == (404, "meeting_not_found")
    assert api.read(link) == meeting


def test_delete_keeps_the_end_of_an_ended_meeting(api):
    link = api.create()
    assert api("PATCH", f"/session/{link}/end").status == 204
    ended = api.read(link)
    assert api("DELETE", f"/session/{link}").status == 204
    assert api.read(link)["endTime"] == ended["endTime"]
