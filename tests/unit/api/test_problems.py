"""Every error, whatever raises it, has the one shape, and tells no more than it should."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable
from typing import Any

import marshmallow
import pytest
from flask import Flask, abort
from flask_smorest.exceptions import NotModified
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import exc
from werkzeug.exceptions import HTTPException, MethodNotAllowed, TooManyRequests

from videoconf import errors
from videoconf.api.authentication import public
from videoconf.api.problems import validation_failed

MEMBERS = {"type", "title", "status", "code", "detail", "requestId"}
BUSY = sqlite3.OperationalError("database is locked: secret")
BUSY.sqlite_errorname = "SQLITE_BUSY"


def raised(make: Callable[[], Exception]) -> Callable[[], Any]:
    def view() -> Any:
        raise make()

    return view


ORIGINS: dict[str, tuple[Callable[[], Any], int, str]] = {
    "ours": (raised(lambda: errors.MeetingEnded()), 409, "meeting_ended"),
    "ours with more": (
        raised(lambda: errors.MeetingNotOpen(extra={"opensOn": "2030-01-01T00:00:00Z"})),
        409,
        "meeting_not_open",
    ),
    "provider": (raised(lambda: errors.ProviderTimeout()), 504, "provider_timeout"),
    "storage": (raised(lambda: errors.StorageDenied()), 422, "storage_denied"),
    "webhook": (raised(lambda: errors.WebhookRejected("the digest differs")), 401, "webhook_rejected"),
    "database": (raised(lambda: errors.DatabaseBusy(retry_after_seconds=1)), 503, "database_busy"),
    "deliberate 500": (raised(lambda: errors.InternalError("secret")), 500, "internal"),
    "400": (lambda: abort(400), 400, "malformed_request"),
    "401": (lambda: abort(401), 401, "unauthenticated"),
    "403": (lambda: abort(403), 403, "forbidden"),
    "404": (lambda: abort(404), 404, "not_found"),
    "405": (raised(lambda: MethodNotAllowed(valid_methods=["GET"])), 405, "method_not_allowed"),
    "406": (lambda: abort(406), 406, "not_acceptable"),
    "412": (lambda: abort(412), 412, "precondition_failed"),
    "413": (lambda: abort(413), 413, "payload_too_large"),
    "415": (lambda: abort(415), 415, "unsupported_media_type"),
    "422": (lambda: abort(422), 422, "validation_failed"),
    "429": (raised(lambda: TooManyRequests(retry_after=7)), 429, "too_many_requests"),
    "500": (lambda: abort(500), 500, "internal"),
    "503": (lambda: abort(503), 503, "service_unavailable"),
    "a header that is not there": (lambda: {}["secret"], 500, "internal"),
    "marshmallow": (raised(lambda: marshmallow.ValidationError({"a": ["Bad."]})), 422, "validation_failed"),
    "SQLAlchemy, busy": (raised(lambda: exc.OperationalError("SELECT secret", {}, BUSY)), 503, "database_busy"),
    "SQLAlchemy, a bug": (raised(lambda: exc.ArgumentError("secret")), 500, "internal"),
    "a bug": (raised(lambda: ZeroDivisionError("secret")), 500, "internal"),
    "a recursion": (raised(lambda: RecursionError("secret")), 500, "internal"),
}


def with_view(shell: Flask, view: Callable[[], Any]) -> Any:
    shell.add_url_rule("/fails", "fails", public("a test")(lambda: view()))
    return shell.test_client()


@pytest.mark.parametrize("origin", ORIGINS)
def test_every_origin_has_the_one_shape(shell: Flask, origin: str) -> None:
    view, status, code = ORIGINS[origin]
    response = with_view(shell, view).get("/fails")
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    body = json.loads(response.data)
    assert body.keys() >= MEMBERS
    assert (body["status"], body["code"], body["type"]) == (status, code, f"urn:videoconf:error:{code}")
    assert body["requestId"] == response.headers["X-Request-ID"]
    assert b"secret" not in response.data
    assert response.headers["Cache-Control"] == "no-store"
    assert ("WWW-Authenticate" in response.headers) == (status == 401)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/things/a%00b", 404, "not_found"),
        ("DELETE", f"/things/{'x' * 256}", 404, "not_found"),
        ("PUT", "/things", 405, "method_not_allowed"),
        ("TRACE", "/things", 405, "method_not_allowed"),
    ],
)
def test_routing_errors_have_the_shape(client: Any, method: str, path: str, status: int, code: str) -> None:
    response = client.open(path, method=method)
    assert (response.status_code, response.get_json(force=True)["code"]) == (status, code)
    assert response.content_type == "application/problem+json"
    if status == 405:
        assert {"GET", "POST"} <= set(response.headers["Allow"].split(", "))


def test_further_members_cannot_replace_standard_ones(shell: Flask) -> None:
    error = errors.MeetingNotOpen(extra={"opensOn": "later", "status": 200, "requestId": "x"})
    body = with_view(shell, raised(lambda: error)).get("/fails").get_json(force=True)
    assert (body["opensOn"], body["status"]) == ("later", 409)
    assert body["requestId"] != "x"


def test_bug_is_logged_and_not_shown_to_the_caller(shell: Flask, caplog: pytest.LogCaptureFixture) -> None:
    response = with_view(shell, raised(lambda: ZeroDivisionError("why it happened"))).get("/fails")
    body = response.get_json(force=True)
    assert body.keys() == MEMBERS
    assert body["detail"] == body["title"] == "Internal error"
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info
    assert "why it happened" in str(record.exc_info[1])
    assert body["requestId"] in record.getMessage()


def test_an_error_after_the_view_has_the_shape_too(shell: Flask) -> None:
    client = with_view(shell, lambda: {})
    shell.after_request_funcs.setdefault(None, []).insert(0, lambda response: 1 / 0)
    response = client.get("/fails")
    assert (response.status_code, response.get_json(force=True)["code"]) == (500, "internal")


def test_webhooks_are_rejected_with_one_wording(shell: Flask) -> None:
    causes = iter(["no signature", "wrong digest"])
    client = with_view(shell, raised(lambda: errors.WebhookRejected(next(causes), extra={"cause": "x"})))
    first, second = (
        client.get("/fails", headers={"X-Request-ID": "same"} | sent) for sent in ({}, {"Authorization": "Bearer a"})
    )
    assert first.data == second.data
    assert dict(first.headers) == dict(second.headers)


def test_message_of_a_provider_is_logged_and_not_shown(shell: Flask, caplog: pytest.LogCaptureFixture) -> None:
    error = errors.ProviderBadResponse(provider_status=200, provider_message="<html>\nwhat it said")
    response = with_view(shell, raised(lambda: error)).get("/fails")
    assert b"what it said" not in response.data
    [record] = [record for record in caplog.records if "what it said" in record.getMessage()]
    assert record.levelno == logging.WARNING
    assert "\n" not in record.getMessage()


@pytest.mark.parametrize(("seconds", "least", "most"), [(0, 1, 1), (0.2, 1, 1), (10, 10, 15), (60.5, 61, 91)])
def test_retry_after_is_whole_seconds_and_spread(shell: Flask, seconds: float, least: int, most: int) -> None:
    client = with_view(shell, raised(lambda: errors.ProviderUnavailable(retry_after_seconds=seconds)))
    seen = {int(client.get("/fails").headers["Retry-After"]) for _ in range(30)}
    assert least <= min(seen)
    assert max(seen) <= most
    assert len(seen) > 1 or least == most


def test_headers_of_an_http_exception_are_kept(shell: Flask) -> None:
    assert with_view(shell, ORIGINS["429"][0]).get("/fails").headers["Retry-After"] == "7"


def test_exception_below_400_is_answered_unchanged(shell: Flask) -> None:
    class Choices(HTTPException):
        code = 300
        description = "choose"

    response = with_view(shell, raised(lambda: Choices())).get("/fails")
    assert (response.status_code, response.mimetype) == (300, "text/html")


def test_304_and_redirects_are_not_errors(shell: Flask) -> None:
    shell.add_url_rule("/folder/", "folder", public("a test")(lambda: {}), strict_slashes=True)
    response = with_view(shell, raised(lambda: NotModified())).get("/fails")
    assert (response.status_code, response.data) == (304, b"")
    assert "problem" not in response.headers.get("Content-Type", "")
    assert shell.test_client().get("/folder").status_code == 308


def test_each_of_our_errors_names_itself() -> None:
    def below(kind: type[errors.VideoconfError]) -> set[type[errors.VideoconfError]]:
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    codes = [kind.code for kind in below(errors.VideoconfError) if kind.__module__.startswith("videoconf.errors.")]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize(
    ("messages", "paths"),
    [
        ({"a": ["x"]}, {"a": ["x"]}),
        ({"extMetadata": {"a": ["x", "y"]}}, {"extMetadata.a": ["x", "y"]}),
        ({"schedule": {0: ["x"], 2: ["y"]}}, {"schedule.0": ["x"], "schedule.2": ["y"]}),
        ({"_schema": ["x"]}, {"$": ["x"]}),
        ({"target": {"_schema": ["x"]}}, {"target": ["x"]}),
        (["x"], {"$": ["x"]}),
        ("x", {"$": ["x"]}),
    ],
)
def test_messages_stand_under_json_paths(messages: Any, paths: dict[str, list[str]]) -> None:
    assert validation_failed(messages).errors == paths


@given(
    st.recursive(
        st.lists(st.text(), max_size=2) | st.text(),
        lambda inner: st.dictionaries(st.text(min_size=1) | st.integers(), inner, max_size=3),
    )
)
def test_any_messages_become_lists_of_texts(messages: Any) -> None:
    for path, texts in validation_failed(messages).errors.items():
        assert isinstance(path, str)
        assert all(isinstance(text, str) for text in texts)
