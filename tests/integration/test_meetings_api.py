"""Meetings over the API: made, read, listed, edited, ended, deleted."""

import json
import math
import string
from functools import partial

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.service import ON_POSTGRESQL, ON_SQLITE, SteppedClock, at_once, count_meetings, now_text, service_of

DOCUMENTED = {
    "deleted",
    "deletedOn",
    "deletedBy",
    "createdOn",
    "modifiedOn",
    "createdBy",
    "modifiedBy",
    "id",
    "sessionId",
    "meetingLink",
    "isScheduled",
    "scheduleTime",
    "isArchived",
    "archiveId",
    "uploadTarget",
    "startTime",
    "endTime",
    "extId",
    "extMetadata",
}


@pytest.fixture
def clock():
    return SteppedClock()


@pytest.fixture
def app(make_app, clock):
    return make_app(clock=clock)


@pytest.fixture
def service(app, headers):
    return service_of(app, headers)


@pytest.fixture
def api(service):
    return service.api


# --- create ---------------------------------------------------------------------------------------------------------


@pytest.mark.needs("eager")
def test_a_meeting_is_made_from_nothing(api, app):
    links = [
        api("POST", "/session").json,
        api("POST", "/session", Content_Type="application/json").json,
        api("POST", "/session", {}).json,
    ]
    assert len(set(links)) == 3
    assert all(len(link) >= 22 and set(link) <= {*string.ascii_letters, *string.digits, *"-_"} for link in links)

    meeting = api.read(links[0])
    assert meeting.keys() == DOCUMENTED | {"provider", "endToEndEncryption", "status"}
    assert {name: value for name, value in meeting.items() if value is not None} == {
        "deleted": False,
        "createdOn": meeting["createdOn"],
        "modifiedOn": meeting["modifiedOn"],
        "createdBy": "tester",
        "modifiedBy": "tester",
        "id": meeting["id"],
        "sessionId": meeting["sessionId"],
        "meetingLink": links[0],
        "isScheduled": False,
        "isArchived": False,
        "provider": "fake",
        "endToEndEncryption": False,
        "status": "open",
    }
    assert isinstance(meeting["id"], int)
    assert meeting["createdOn"].endswith("Z")
    # Each is the database's clock at its own moment, so on PostgreSQL they may be a microsecond apart.
    assert meeting["createdOn"] <= meeting["modifiedOn"] <= now_text()


@pytest.mark.needs("automatic_archiving", "end_to_end_encryption")
def test_a_meeting_has_what_was_asked_for(api, clock):
    link = api.create(
        isScheduled=True,
        scheduleTime=clock.now.astimezone().isoformat(),  # the present counts as not past; any offset is taken
        enableArchiving=True,
        provider="fake",
        providerOptions={"region": "eu"},
        extId="appointment ✓",
        extMetadata={"ünï": [1, 2.5, None, {"deep": True}]},
    )
    meeting = api.read(link)
    assert meeting["isScheduled"] is True
    assert meeting["scheduleTime"] == clock.text()
    assert meeting["isArchived"] is True
    assert meeting["extId"] == "appointment ✓"
    assert meeting["extMetadata"] == {"ünï": [1, 2.5, None, {"deep": True}]}
    assert meeting["status"] == "scheduled"
    assert api.read(api.create(endToEndEncryption=True))["endToEndEncryption"] is True
    assert api.read(api.create(extMetadata={"a": "x" * (16 * 1024 - 8)}))["extMetadata"]


floats = st.floats(allow_nan=False, allow_infinity=False)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers=st.lists(st.integers() | floats | floats.map(math.ulp) | st.floats(1e15, 1e22), min_size=1, max_size=8))
@example([1e308])
@example([9.223372036854775e18, -(2.0**63), 2**63 - 1, -(2**63)])
@example([-0.0, 1e-38, 1.1754943508222875e-38])
@example([1e-39])
@example([5e-324])
def test_a_number_comes_back_equal_and_short_and_can_be_sent_back_or_is_refused(api, numbers):
    answer = api("POST", "/session", {"extMetadata": {"a": numbers}})
    if answer.status == 400:
        assert "out of range" in answer.json["detail"]
        assert any(number and not 1e-38 <= abs(number) < 2**63 for number in numbers)
        return
    link = answer.json
    sent = json.dumps({"a": numbers}, separators=(",", ":"))
    kept = api.read(link)["extMetadata"]
    assert [float(number) for number in kept["a"]] == [float(number) for number in numbers]
    assert len(json.dumps(kept, separators=(",", ":"))) <= 8 * len(sent)
    assert api("PATCH", f"/session/{link}", {"extMetadata": kept}).status == 204
    assert api.read(link)["extMetadata"] == kept


ACCEPTED = [
    (None, "text/plain"),
    ("text/plain", "text/plain"),
    ("*/*", "text/plain"),
    ("text/*", "text/plain"),
    ("text/html, */*;q=0.1", "text/plain"),
    ("application/json", "application/json"),
    ("application/*", "application/json"),
    ("text/plain;q=0.5, application/json", "application/json"),
    ("application/json;q=0.2, text/plain;q=0.9", "text/plain"),
]


@ON_SQLITE
@pytest.mark.parametrize(("accept", "content_type"), ACCEPTED)
def test_the_link_comes_in_the_accepted_media_type(api, accept, content_type):
    answer = api("POST", "/session", **({"Accept": accept} if accept else {}))
    assert answer.status == 200
    assert answer.headers["Content-Type"].split(";")[0] == content_type
    link = json.loads(answer.body)
    assert answer.body == f'"{link}"'.encode()
    assert answer.headers["Location"] == f"/session/{link}"
    assert api("GET", answer.headers["Location"]).json["meetingLink"] == link


@ON_SQLITE
def test_an_answer_that_cannot_be_given_makes_no_meeting(api, app):
    assert api("POST", "/session", Accept="image/png").problem == (406, "not_acceptable")
    assert count_meetings(app) == 0


@ON_SQLITE
def test_the_location_has_the_path_prefix(make_app, headers):
    api = service_of(make_app(path_prefix="/video"), headers).api
    answer = api("POST", "/video/session")
    assert answer.headers["Location"] == f"/video/session/{answer.json}"
    assert api("GET", answer.headers["Location"]).status == 200


WRONG = [
    ({"isScheduled": "yes"}, ["isScheduled"]),
    ({"isScheduled": None}, ["isScheduled"]),
    ({"isScheduled": True}, ["scheduleTime"]),
    ({"isScheduled": True, "scheduleTime": None}, ["scheduleTime"]),
    ({"isScheduled": True, "scheduleTime": "2019-08-24T14:15:22Z"}, ["scheduleTime"]),
    ({"isScheduled": True, "scheduleTime": "2100-01-01T00:00:00"}, ["scheduleTime"]),
    ({"isScheduled": True, "scheduleTime": "2100-02-30T00:00:00Z"}, ["scheduleTime"]),
    ({"isScheduled": True, "scheduleTime": "9999-12-31T23:59:59-12:00"}, ["scheduleTime"]),
    ({"isScheduled": True, "scheduleTime": 4102444800}, ["scheduleTime"]),
    ({"scheduleTime": "2100-01-01T00:00:00Z"}, ["scheduleTime"]),
    ({"enableArchiving": True, "endToEndEncryption": True}, ["enableArchiving"]),
    ({"enableArchiving": 1}, ["enableArchiving"]),
    ({"provider": "nobody"}, ["provider"]),
    ({"providerOptions": {"region": "moon"}}, ["providerOptions.region"]),
    ({"providerOptions": {"size": 1}}, ["providerOptions.size"]),
    ({"providerOptions": []}, ["providerOptions"]),
    ({"extId": "x" * 256}, ["extId"]),
    ({"extId": "a\u0007b"}, ["extId"]),
    ({"extId": 7}, ["extId"]),
    ({"extMetadata": []}, ["extMetadata"]),
    ({"extMetadata": {"a": "x" * (16 * 1024)}}, ["extMetadata"]),
    ({"nope": 1, "meetingLink": "mine"}, ["meetingLink", "nope"]),
    ({"isScheduled": "yes", "extId": 7, "nope": 1}, ["extId", "isScheduled", "nope"]),
]


@ON_SQLITE
@pytest.mark.parametrize(("body", "paths"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_named_and_nothing_is_made(service, app, body, paths):
    answer = service.api("POST", "/session", body)
    assert answer.wrong == paths
    assert count_meetings(app) == 0
    assert service.fake.list_sessions() == []


# --- read and list --------------------------------------------------------------------------------------------------


def test_meetings_are_listed_newest_first_in_pages(api):
    links = [api.create() for _ in range(7)][::-1]
    deleted = api.create()
    assert api("DELETE", f"/session/{deleted}").status == 204

    answer = api("GET", "/session")
    assert [meeting["meetingLink"] for meeting in answer.json] == links
    assert answer.json[0] == api.read(links[0])

    pages = [api("GET", f"/session?page={page}&pageSize=3") for page in (1, 2, 3)]
    assert [meeting["meetingLink"] for page in pages for meeting in page.json] == links
    paginations = [json.loads(page.headers["X-Pagination"]) for page in pages]
    common = {"total": 7, "totalPages": 3, "firstPage": 1, "lastPage": 3}
    assert paginations == [
        {**common, "page": 1, "nextPage": 2},
        {**common, "page": 2, "previousPage": 1, "nextPage": 3},
        {**common, "page": 3, "previousPage": 2},
    ]

    def url(page):
        return f"</session?page={page}&pageSize=3>"

    assert pages[1].headers["Link"] == (
        f'{url(1)}; rel="first", {url(1)}; rel="prev", {url(3)}; rel="next", {url(3)}; rel="last"'
    )
    assert 'rel="prev"' not in pages[0].headers["Link"]
    assert 'rel="next"' not in pages[2].headers["Link"]

    beyond = api("GET", "/session?page=4&pageSize=3")
    assert beyond.json == []
    assert "page" not in json.loads(beyond.headers["X-Pagination"])


@ON_SQLITE
def test_members_come_in_one_order_from_everywhere(api):
    alone = api.read(api.create())
    [listed] = api("GET", "/session").json
    assert list(alone) == list(listed) != sorted(listed)


def test_an_empty_list_has_no_pages(api):
    answer = api("GET", "/session")
    assert answer.json == []
    assert json.loads(answer.headers["X-Pagination"]) == {"total": 0, "totalPages": 0}
    assert "Link" not in answer.headers


@ON_SQLITE
@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=10001", "page"),
        ("page=x", "page"),
        ("page=", "page"),
        ("page=1.0", "page"),
        ("page=" + "9" * 400, "page"),
        ("page=1&page=2", "page"),
        ("pageSize=0", "pageSize"),
        ("pageSize=101", "pageSize"),
        ("size=3", "size"),
    ],
)
def test_a_list_refuses_what_it_does_not_take(api, query, path):
    assert api("GET", f"/session?{query}").wrong == [path]


# --- edit -----------------------------------------------------------------------------------------------------------


@pytest.mark.needs
def test_an_edit_changes_what_is_sent_and_nothing_else(service, clock):
    api = service.api
    link = api.create(extId="old", extMetadata={"a": 1})
    before = api.read(link)
    editor = service.caller_with(subject="editor")

    assert editor("PATCH", f"/session/{link}", {"extId": "new"}).status == 204
    after = api.read(link)
    assert after == {**before, "extId": "new", "modifiedBy": "editor", "modifiedOn": after["modifiedOn"]}
    assert after["modifiedOn"] > before["modifiedOn"]

    assert editor("PATCH", f"/session/{link}", {"extMetadata": None, "extId": None}).status == 204
    assert (api.read(link)["extId"], api.read(link)["extMetadata"]) == (None, None)


def test_an_edit_that_changes_nothing_has_not_modified_the_meeting(service):
    link = service.api.create(extId="same")
    before = service.api.read(link)
    other = service.caller_with(subject="other")
    for body in (None, {}, {"extId": "same"}, before):
        assert other("PATCH", f"/session/{link}", body).status == 204
        assert service.api.read(link) == before


def test_a_meeting_that_was_read_edited_and_sent_back_is_edited(api, clock):
    link = api.create(isScheduled=True, scheduleTime=clock.text(hours=1), extMetadata={"a": [1]})
    before = api.read(link)
    clock.step(hours=2)  # its time has come; sending that time back is no new schedule
    assert api("PATCH", f"/session/{link}", {**before, "extMetadata": {"a": [1, 2]}}).status == 204
    after = api.read(link)
    assert after == {**before, "extMetadata": {"a": [1, 2]}, "modifiedOn": after["modifiedOn"]}


def test_what_is_the_servers_may_be_sent_and_stays(api, clock):
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
        "provider": "mine",
        "endToEndEncryption": True,
        "status": "ended",
    }
    assert theirs.keys() | {"isScheduled", "scheduleTime", "extId", "extMetadata"} == before.keys()
    assert api("PATCH", f"/session/{link}", theirs).status == 204
    assert api.read(link) == before


def test_the_schedule_follows_its_rules(api, clock):
    link = api.create()

    def edit(**body):
        return api("PATCH", f"/session/{link}", body)

    def schedule():
        meeting = api.read(link)
        return meeting["isScheduled"], meeting["scheduleTime"], meeting["status"]

    assert edit(isScheduled=True).wrong == ["scheduleTime"]
    assert edit(scheduleTime=clock.text(hours=1)).wrong == ["scheduleTime"], "there is no schedule to change"
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
def test_an_edit_that_is_wrong_changes_nothing(api, body, paths):
    link = api.create()
    before = api.read(link)
    assert api("PATCH", f"/session/{link}", body).wrong == paths
    assert api.read(link) == before


# --- end ------------------------------------------------------------------------------------------------------------


@pytest.mark.needs("automatic_archiving")
def test_an_end_is_an_end_for_everybody(service, clock):
    api = service.api
    link = api.create(enableArchiving=True)
    service.join(link, attendee="ann")
    service.join(link, attendee="bob")
    service.deliver()
    session_id = api.read(link)["sessionId"]
    assert len(service.fake.list_connections(session_id)) == 2
    assert [archive.provider_status for archive in service.fake.list_archives(session_id)] == ["started"]

    host = service.caller_with(subject="host")
    answer = host("PATCH", f"/session/{link}/end")
    assert (answer.status, answer.body) == (204, b"")
    assert "Content-Type" not in answer.headers

    ended = api.read(link)
    assert (ended["status"], ended["modifiedBy"], ended["deleted"]) == ("ended", "host", False)
    assert ended["startTime"] < ended["endTime"] <= ended["modifiedOn"]
    assert service.fake.list_connections(session_id) == []
    assert [archive.provider_status for archive in service.fake.list_archives(session_id)] != ["started"]
    people = api.attendees(link)
    assert [(person["attendee"], person["active"]) for person in people] == [("ann", False), ("bob", False)]
    for person in people:  # before any webhook says so
        [connection] = person["connections"]
        assert connection["left"] == ended["endTime"]
        assert connection["inferred"] is True
    service.deliver()
    for person in api.attendees(link):
        assert person["connections"][0]["inferred"] is False
        assert person["connections"][0]["reason"] == "forced"

    for method, path in (("PATCH", ""), ("PATCH", "/end"), ("POST", "/token")):
        assert api(method, f"/session/{link}{path}").problem == (409, "meeting_ended")
    assert api.read(link) == ended


def test_a_scheduled_meeting_can_be_ended_before_it_began(api, clock):
    link = api.create(isScheduled=True, scheduleTime=clock.text(days=1))
    assert api("PATCH", f"/session/{link}/end").status == 204
    assert (api.read(link)["status"], api.read(link)["startTime"]) == ("ended", None)


@ON_SQLITE
def test_an_end_takes_a_body_of_any_kind_or_none(api):
    for body, media_type in ((None, ""), (b"{}", "application/json"), (b"", "application/json")):
        answer = api("PATCH", f"/session/{api.create()}/end", body, Content_Type=media_type)
        assert answer.status == 204


# --- delete ---------------------------------------------------------------------------------------------------------


@pytest.mark.needs
def test_a_delete_ends_a_running_meeting_and_is_soft(service):
    api = service.api
    link = api.create()
    service.join(link, attendee="ann")
    service.deliver()

    assert service.caller_with(subject="cleaner")("DELETE", f"/session/{link}").status == 204
    meeting = api.read(link)
    assert (meeting["deleted"], meeting["deletedBy"], meeting["status"]) == (True, "cleaner", "deleted")
    assert meeting["deletedOn"] >= meeting["endTime"] >= meeting["startTime"]
    assert service.fake.list_connections(meeting["sessionId"]) == []
    assert [(person["attendee"], person["active"]) for person in api.attendees(link)] == [("ann", False)]
    assert api("GET", "/session").json == []

    for method, path in (("PATCH", ""), ("PATCH", "/end"), ("POST", "/token")):
        assert api(method, f"/session/{link}{path}").problem == (409, "meeting_ended")
    assert api("DELETE", f"/session/{link}").problem == (404, "meeting_not_found")
    assert api.read(link) == meeting


def test_a_delete_of_an_ended_meeting_keeps_its_end(api):
    link = api.create()
    assert api("PATCH", f"/session/{link}/end").status == 204
    ended = api.read(link)
    assert api("DELETE", f"/session/{link}").status == 204
    assert api.read(link)["endTime"] == ended["endTime"]


# --- two edits at once ----------------------------------------------------------------------------------------------


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
