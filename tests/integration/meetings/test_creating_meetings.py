"""Creating meetings over the API."""

import json
import math
import string
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.service import ON_SQLITE, count_meetings, moment, service_of

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


@pytest.mark.needs("eager")
def test_empty_body_creates_a_meeting(service, api, app):
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
        "provider": service.provider.key,
        "endToEndEncryption": False,
        "status": "open",
    }
    assert isinstance(meeting["id"], int)
    assert meeting["createdOn"].endswith("Z")
    # Each is the database's clock at its own moment, so on PostgreSQL they may be a microsecond apart.
    assert moment(meeting["createdOn"]) <= moment(meeting["modifiedOn"]) <= datetime.now(UTC)


@pytest.mark.needs("automatic_archiving", "end_to_end_encryption", "the fake")
def test_created_meeting_has_the_requested_members(api, clock):
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
def test_number_comes_back_equal_or_is_refused(api, numbers):
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
    (None, "application/json"),
    ("text/plain", "text/plain"),
    ("*/*", "application/json"),
    ("text/*", "text/plain"),
    ("text/html, */*;q=0.1", "application/json"),
    ("application/json", "application/json"),
    ("application/*", "application/json"),
    ("text/plain;q=0.5, application/json", "application/json"),
    ("application/json;q=0.2, text/plain;q=0.9", "text/plain"),
]


@ON_SQLITE
@pytest.mark.parametrize(("accept", "content_type"), ACCEPTED)
def test_link_comes_in_the_accepted_media_type(api, accept, content_type):
    answer = api("POST", "/session", **({"Accept": accept} if accept else {}))
    assert answer.status == 200
    assert answer.headers["Content-Type"].split(";")[0] == content_type
    link = json.loads(answer.body)
    assert answer.body == f'"{link}"'.encode()
    assert answer.headers["Location"] == f"/session/{link}"
    assert api("GET", answer.headers["Location"]).json["meetingLink"] == link


@ON_SQLITE
def test_unacceptable_media_type_creates_no_meeting(api, app):
    assert api("POST", "/session", Accept="image/png").problem == (406, "not_acceptable")
    assert count_meetings(app) == 0


@ON_SQLITE
def test_location_includes_the_path_prefix(make_app, headers):
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
    ({"provider": "unknown"}, ["provider"]),
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
def test_invalid_create_names_each_field_and_creates_nothing(service, app, body, paths):
    answer = service.api("POST", "/session", body)
    if service.provider.options_schema is None:  # then it has no option that could be named
        paths = [path.partition(".")[0] for path in paths]
    assert answer.wrong == paths
    assert count_meetings(app) == 0
    assert service.fake.list_sessions() == []


@ON_SQLITE
def test_archived_encrypted_meeting_is_refused_in_words(api):
    answer = api("POST", "/session", {"enableArchiving": True, "endToEndEncryption": True})
    said = "An end-to-end encrypted meeting cannot be archived."
    assert (answer.json["detail"], answer.json["errors"]) == (said, {"enableArchiving": [said]})
