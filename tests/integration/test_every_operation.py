"""What holds for every operation: who may call, what may be sent, and how it answers."""

import pytest

from tests.support.service import ON_SQLITE, count_meetings, service_of

OPERATIONS = [
    ("POST", "/session", "CreateMeetingSession"),
    ("GET", "/session", "GetMeetings"),
    ("GET", "/session/{link}", "GetMeetings"),
    ("PATCH", "/session/{link}", "EditMeeting"),
    ("POST", "/session/{link}/token", "GenerateMeetingToken"),
    ("GET", "/session/{link}/attendees", "GetMeetingAttendees"),
    ("PATCH", "/session/{link}/end", "StopMeeting"),
    ("DELETE", "/session/{link}", "DeleteMeeting"),
]
ON_A_MEETING = [operation for operation in OPERATIONS if "{link}" in operation[1]]


@ON_SQLITE
@pytest.mark.parametrize(("method", "path", "permission"), OPERATIONS)
def test_operation_needs_a_token_with_its_permission_only(service, method, path, permission):
    link = service.api.create()

    for place in (link, "unknown"):  # refused before the look-up, so that a stranger learns nothing
        refused = service.stranger(method, path.format(link=place))
        assert refused.problem == (401, "unauthenticated")
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")
        others = [other for _, _, other in OPERATIONS if other != permission]
        assert service.caller_with(others)(method, path.format(link=place)).problem == (403, "forbidden")
    assert service.caller_with([permission])(method, path.format(link=link)).status in (200, 204)


@ON_SQLITE
def test_disabled_authentication_gives_one_named_actor(make_app, headers, caplog):
    service = service_of(make_app(auth="disabled", development=True), headers)
    assert "DISABLED" in caplog.text

    link = service.stranger("POST", "/session").json
    for method, path, _ in OPERATIONS:
        assert service.stranger(method, path.format(link=link)).status in (200, 204), path
    meeting = service.stranger.read(link)
    assert (meeting["createdBy"], meeting["modifiedBy"]) == ("development", "development")
    assert service.caller_with().read(link) == meeting, "it is the default tenant's"
    assert service.post(service.forged()).problem == (401, "webhook_rejected")


@ON_SQLITE
@pytest.mark.parametrize(("method", "path", "_"), ON_A_MEETING)
@pytest.mark.parametrize("link", ["unknown", "x" * 255, "%F0%9F%98%80", "..", "a%20b"])
def test_an_unknown_meeting_is_404(api, method, path, _, link):
    assert api(method, path.format(link=link)).problem == (404, "meeting_not_found")


@ON_SQLITE
def test_a_method_that_a_path_lacks_is_405_with_allow(api):
    answer = api("PUT", "/session")
    assert answer.problem == (405, "method_not_allowed")
    assert {"GET", "POST"} <= set(answer.headers["Allow"].replace(",", " ").split())


@ON_SQLITE
def test_every_answer_carries_a_request_id_and_is_not_cached(api):
    link = api.create()
    for method, path in (("GET", f"/session/{link}"), ("POST", "/session"), ("GET", "/session/unknown"), ("GET", "/")):
        answer = api(method, path, X_Request_ID="their-id.1")
        assert answer.headers["X-Request-ID"] == "their-id.1"
        assert answer.headers["Cache-Control"] == "no-store"
        if answer.status == 404:
            assert answer.json["requestId"] == "their-id.1"
    ids = [api("GET", "/session", X_Request_ID=sent).headers["X-Request-ID"] for sent in ("", "a b", "x" * 300, "ä")]
    assert len({*ids, api("GET", "/session").headers["X-Request-ID"]}) == 5, "a bad or absent one is replaced"
    assert all(id.isalnum() for id in ids)


BODIES = [
    (b"{", 400),
    (b"\xff{}", 400),
    (b"\xef\xbb\xbf{}", 400),
    (b'{"extId": "a\\u0000b"}', 400),
    (b'{"extId": "\\ud800"}', 400),
    (b'{"extMetadata": {"a": NaN}}', 400),
    (b'{"extMetadata": {"a": 1e999}}', 400),
    (b'{"extMetadata": {"a": 1' + b"0" * 5000 + b"}}", 400),
    (b'{"extId": "a", "extId": "b"}', 400),
    (b'{"extMetadata": {"a": ' + b"[" * 40 + b"]" * 40 + b"}}", 400),
    (b"[" * 5000, 400),
    (b'{"extMetadata": {"a": "' + b"x" * 70_000 + b'"}}', 413),
    (b"[]", 422),
    (b'"text"', 422),
    (b"null", 422),
    (b"1", 422),
]


@ON_SQLITE
@pytest.mark.parametrize(("method", "path"), [("POST", "/session"), ("PATCH", "/session/{link}")])
@pytest.mark.parametrize(("body", "status"), BODIES, ids=range(len(BODIES)))
def test_unusable_body_is_refused(api, app, method, path, body, status):
    link = api.create()
    answer = api(method, path.format(link=link), body, Content_Type="application/json")
    assert answer.problem[0] == status
    assert count_meetings(app) == 1


@ON_SQLITE
@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_body_not_declared_as_json_answers_415(api, app, media_type):
    answer = api("POST", "/session", b'{"extId": "a"}', Content_Type=media_type)
    assert answer.problem == (415, "unsupported_media_type")
    assert count_meetings(app) == 0
