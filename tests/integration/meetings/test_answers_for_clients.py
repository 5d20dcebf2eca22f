"""Answers that clients can use: JSON by default, preferences, properties that only the service sets."""

import pytest

from tests.support.service import ON_SQLITE

pytestmark = ON_SQLITE

JSON = "application/json"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/json; charset=utf-8", JSON),
        ("application/*;q=0.5", JSON),
        ("text/plain; charset=utf-8", "text/plain"),
        ("text/plain", "text/plain"),
        ("text/plain;q=0.5, application/json;charset=utf-8;q=0.9", JSON),
        ("text/html, text/*;q=0.8", "text/plain"),
    ],
)
def test_link_id_is_json_unless_text_is_preferred(api, accept, content_type):
    answer = api("POST", "/session", Accept=accept) if accept else api("POST", "/session")
    assert answer.status == 200
    assert answer.headers["Content-Type"].partition(";")[0] == content_type
    assert answer.headers["Location"] == f"/session/{answer.json}"


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0, text/html"])
def test_unacceptable_type_answers_406_and_creates_nothing(api, accept):
    refused = api("POST", "/session", Accept=accept)
    assert refused.problem == (406, "not_acceptable")
    assert "application/json or text/plain" in refused.json["detail"]
    assert api("GET", "/session").json == []


@pytest.mark.parametrize("accept", ["text/csv; charset=utf-8", "text/csv; charset=utf-8; header=present"])
def test_report_is_csv_whatever_the_parameters(api, accept):
    answer = api("GET", f"/session/{api.create()}/attendance", Accept=accept)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"


@pytest.mark.parametrize(
    "sent", ["application/json; charset=UTF-8", 'Application/JSON;charset="utf-8"', "application/json;v=1"]
)
def test_body_is_json_whatever_the_parameters(api, sent):
    assert api("POST", "/session", b'{"extId": "a"}', Content_Type=sent).status == 200


@pytest.mark.parametrize("prefer", ["return=representation", 'Return="representation"; x=1, handling=strict'])
def test_preferred_representation_is_the_meeting(api, prefer):
    answer = api("POST", "/session", {"extId": "a"}, Prefer=prefer)
    assert answer.headers["Preference-Applied"] == "return=representation"
    assert answer.headers["Content-Type"] == JSON
    assert answer.json == api.read(answer.json["meetingLink"])


def test_preferred_representation_as_text_is_406(api):
    assert api("POST", "/session", Prefer="return=representation", Accept="text/plain").problem[0] == 406


@pytest.mark.parametrize(("name", "value"), [("status", "ended"), ("provider", "other"), ("endToEndEncryption", True)])
def test_edit_of_an_added_property_is_422(api, name, value):
    link = api.create()
    before = api.read(link)
    refused = api("PATCH", f"/session/{link}", {name: value, "extId": "new"})
    assert refused.problem == (422, "read_only")
    assert list(refused.json["errors"]) == [name]
    assert api.read(link) == before


@pytest.mark.needs("automatic_archiving")
def test_meeting_sent_back_as_read_is_accepted(api):
    link = api.create(extId="a", enableArchiving=True)
    meeting = api.read(link)
    answer = api("PATCH", f"/session/{link}", {**meeting, "extId": "b"}, Prefer="handling=strict")
    assert answer.status == 204
    assert answer.headers["Preference-Applied"] == "handling=strict"
    assert "X-Ignored-Properties" not in answer.headers
    assert api.read(link)["extId"] == "b"


def test_ignored_properties_are_named(api):
    link = api.create()
    meeting = api.read(link)
    changed = {**meeting, "id": meeting["id"] + 1, "archiveId": "x", "extId": "b", "deleted": True}
    answer = api("PATCH", f"/session/{link}", changed)
    assert answer.status == 204
    assert answer.headers["X-Ignored-Properties"] == "deleted, id, archiveId"
    assert api.read(link) == {**api.read(link), "extId": "b", "deleted": False, "archiveId": None}


def test_strict_handling_refuses_ignored_properties(api):
    link = api.create()
    refused = api(
        "PATCH", f"/session/{link}", {"endTime": "2030-01-01T00:00:00Z", "extId": "b"}, Prefer="handling=strict"
    )
    assert refused.problem == (422, "read_only")
    assert list(refused.json["errors"]) == ["endTime"]
    assert api.read(link)["extId"] is None


def test_early_token_error_says_when_the_meeting_opens(api):
    link = api.create(isScheduled=True, scheduleTime="2100-01-31T10:00:00+01:00")
    refused = api("POST", f"/session/{link}/token")
    assert refused.problem == (409, "meeting_not_open")
    assert refused.json["opensOn"] in refused.json["detail"]


def test_second_end_error_says_when_the_first_was(api):
    link = api.create()
    api("PATCH", f"/session/{link}/end")
    refused = api("PATCH", f"/session/{link}/end")
    assert refused.json["detail"] == f"The meeting ended at {api.read(link)['endTime']}."


def test_detail_says_more_than_the_title(api):
    ended = api.create()
    api("PATCH", f"/session/{ended}/end")
    for method, path, body in [
        ("GET", "/session/unknown", None),
        ("GET", "/archives/unknown", None),
        ("GET", "/archives/storage-target", None),
        ("GET", "/nothing", None),
        ("PUT", "/session", None),
        ("POST", f"/session/{ended}/token", {}),
        ("POST", f"/session/{api.create()}/archives", {}),
        ("POST", "/session", {"ext_id": "a"}),
        ("POST", "/jobs/1/retry", None),
    ]:
        answer = api(method, path, body)
        assert answer.status >= 400
        assert answer.json["detail"] not in ("", answer.json["title"]), (path, answer.json)


def test_error_for_an_unknown_field_names_the_nearest(api):
    refused = api("POST", "/session", {"ext_id": "a"})
    assert refused.json["errors"] == {"ext_id": ["Unknown field. Did you mean extId?"]}
    listed = api("GET", "/session?pagesize=5")
    assert listed.json["errors"] == {"pagesize": ["Unknown field. Did you mean pageSize?"]}
