"""Editing a meeting, also twice at once."""

from functools import partial

import pytest

from tests.support.service import ON_POSTGRESQL, ON_SQLITE, at_once, moment


@pytest.mark.needs
def test_edit_changes_only_the_members_sent(service, clock):
    api = service.api
    link = api.create(extId="old", extMetadata={"a": 1})
    before = api.read(link)
    editor = service.caller_with(subject="editor")

    assert editor("PATCH", f"/session/{link}", {"extId": "new"}).status == 204
    after = api.read(link)
    assert after == {**before, "extId": "new", "modifiedBy": "editor", "modifiedOn": after["modifiedOn"]}
    assert moment(after["modifiedOn"]) > moment(before["modifiedOn"])

    assert editor("PATCH", f"/session/{link}", {"extMetadata": None, "extId": None}).status == 204
    assert (api.read(link)["extId"], api.read(link)["extMetadata"]) == (None, None)


def test_edit_without_a_change_keeps_the_modification_time(service):
    link = service.api.create(extId="same")
    before = service.api.read(link)
    other = service.caller_with(subject="other")
    for body in (None, {}, {"extId": "same"}, before):
        assert other("PATCH", f"/session/{link}", body).status == 204
        assert service.api.read(link) == before


def test_meeting_that_was_read_can_be_edited_and_sent_back(api, clock):
    link = api.create(isScheduled=True, scheduleTime=clock.text(hours=1), extMetadata={"a": [1]})
    before = api.read(link)
    clock.step(hours=2)  # its time has come; sending that time back changes nothing
    assert api("PATCH", f"/session/{link}", {**before, "extMetadata": {"a": [1, 2]}}).status == 204
    after = api.read(link)
    assert after == {**before, "extMetadata": {"a": [1, 2]}, "modifiedOn": after["modifiedOn"]}


def test_read_only_members_may_be_sent_and_stay(api, clock):
    link = api.create()
    before = api.read(link)
    theirs = {
        "deleted": True,
        "deletedOn": clock.text(),
        "deletedBy": "me",
        "createdOn": clock.text(),
        "modifiedOn": clock.text(),
        "createdBy": "me",
        "modifiedBy": "me",
        "id": before["id"] + 1,
        "sessionId": "mine",
        "meetingLink": "mine",
        "isArchived": True,
        "archiveId": "mine",
        "uploadTarget": "mine",
        "startTime": clock.text(),
        "endTime": clock.text(),
    }
    refused = {"provider": "mine", "endToEndEncryption": True, "status": "ended"}
    assert theirs.keys() | refused.keys() | {"isScheduled", "scheduleTime", "extId", "extMetadata"} == before.keys()
    assert api("PATCH", f"/session/{link}", theirs).status == 204
    assert api.read(link) == before
    for name, value in refused.items():
        answer = api("PATCH", f"/session/{link}", {name: value})
        assert (answer.problem, list(answer.json["errors"])) == ((422, "read_only"), [name])
    assert api.read(link) == before


def test_schedule_follows_its_rules(api, clock):
    link = api.create()

    def edit(**body):
        return api("PATCH", f"/session/{link}", body)

    def schedule():
        meeting = api.read(link)
        return meeting["isScheduled"], meeting["scheduleTime"], meeting["status"]

    assert edit(isScheduled=True).wrong == ["scheduleTime"]
    assert edit(scheduleTime=clock.text(hours=1)).wrong == ["scheduleTime"], "the meeting has no schedule"
    assert edit(isScheduled=True, scheduleTime=clock.text(hours=-1)).wrong == ["scheduleTime"]
    assert edit(isScheduled=True, scheduleTime=None).wrong == ["scheduleTime"]
    assert schedule() == (False, None, "open")

    assert edit(isScheduled=True, scheduleTime=clock.text(hours=1)).status == 204
    assert schedule() == (True, clock.text(hours=1), "scheduled")
    assert edit(isScheduled=True).status == 204, "the stored time is still to come"
    assert edit(scheduleTime=clock.text(hours=2)).status == 204
    assert schedule() == (True, clock.text(hours=2), "scheduled")
    assert edit(scheduleTime=clock.text(hours=-2)).wrong == ["scheduleTime"]
    assert edit(scheduleTime=None).wrong == ["scheduleTime"]
    assert edit(extId="kept").status == 204
    assert schedule() == (True, clock.text(hours=2), "scheduled")

    assert edit(isScheduled=False).status == 204
    assert schedule() == (False, None, "open")
    assert edit(isScheduled=True).wrong == ["scheduleTime"], "the time was cleared"
    assert edit(isScheduled=True, scheduleTime=clock.text(hours=3)).status == 204
    assert edit(isScheduled=False, scheduleTime=clock.text(hours=3)).status == 204
    assert schedule() == (False, None, "open")


@ON_SQLITE
@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({"isScheduled": None}, ["isScheduled"]),
        ({"isScheduled": 1}, ["isScheduled"]),
        ({"scheduleTime": "tomorrow"}, ["scheduleTime"]),
        ({"extId": "x" * 256}, ["extId"]),
        ({"extMetadata": "text"}, ["extMetadata"]),
        ({"extId": "kept out", "nope": 1}, ["nope"]),
        ({"id": "1"}, ["id"]),
        ({"status": "paused"}, ["status"]),
    ],
)
def test_invalid_edit_changes_nothing(api, body, paths):
    link = api.create()
    before = api.read(link)
    assert api("PATCH", f"/session/{link}", body).wrong == paths
    assert api.read(link) == before


@ON_POSTGRESQL
def test_two_edits_at_once_never_mix_their_schedules(service, clock):
    """Each edit would be right alone: one moves the scheduled meeting, the other makes it unscheduled."""
    api = service.api
    edits = [{"isScheduled": True, "scheduleTime": clock.text(hours=2)}, {"isScheduled": False}]
    for _ in range(40):
        link = api.create(isScheduled=True, scheduleTime=clock.text(hours=1))
        answers = at_once([partial(api, "PATCH", f"/session/{link}", body) for body in edits])
        assert [answer.status for answer in answers] == [204, 204]
        meeting = api.read(link)
        assert meeting["isScheduled"] == (meeting["scheduleTime"] is not None), meeting
