"""What the guarded client sends and returns, and the largest body that it reads."""

from __future__ import annotations

import gzip
import json
import logging
import tracemalloc

import pytest

from tests.unit.guarded_client.calls import CANARY, create, get
from videoconf import __version__
from videoconf.errors import (
    ProviderBadResponse,
    ProviderConflict,
    ProviderResourceNotFound,
)
from videoconf.providers import Answer
from videoconf.testing.faulty_server import (
    endless,
    gzip_bomb,
    reply,
)


def test_answer_has_status_headers_and_body(client, server):
    server.on("/x", reply(201, b'{"id": "1"}', headers={"X-Trace": "t", "Content-Type": "application/json"}))
    answer = get(client, server.url("/x?page=2"))
    assert (answer.status, answer.body, answer.json()) == (201, b'{"id": "1"}', {"id": "1"})
    assert answer.headers["x-trace"] == "t"
    [request] = server.requests("/x")
    assert (request.method, request.query) == ("GET", "page=2")
    assert request.headers["user-agent"] == f"videoconf/{__version__}"
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert "content-type" not in request.headers


def test_header_of_the_caller_replaces_the_default(client, server):
    server.on("/x", reply())
    create(client, server.url("/x"), headers={"user-agent": "mine"})
    assert server.requests("/x")[0].headers["user-agent"] == "mine"


def test_json_and_form_bodies(client, server):
    server.on("/x", reply())
    create(client, server.url("/x"), json={"name": "é"})
    create(client, server.url("/x"), form={"a": "1 2", "b": "&"})
    create(client, server.url("/x"), json={}, headers={"content-type": "application/merge-patch+json"})
    first, second, third = server.requests("/x")
    assert (first.headers["content-type"], json.loads(first.body)) == ("application/json", {"name": "é"})
    assert (second.headers["content-type"], second.body) == ("application/x-www-form-urlencoded", b"a=1+2&b=%26")
    assert (third.headers["content-type"], third.body) == ("application/merge-patch+json", b"{}")


def test_successful_call_logs_at_debug_only(client, server, pauses, caplog):
    caplog.set_level(logging.DEBUG, logger="videoconf")
    server.on("/x", reply())
    server.on("/late", reply(503), reply())
    server.on("/down", reply(404))
    get(client, server.url("/x"))
    get(client, server.url("/late"))
    with pytest.raises(ProviderResourceNotFound):
        get(client, server.url("/down"))
    assert [record.levelname for record in caplog.records if record.name == "videoconf.providers.http"] == [
        "DEBUG",
        "INFO",
        "WARNING",
    ]


def test_callable_headers_are_called_for_each_attempt(client, server, pauses):
    server.on("/x", reply(503), reply(503), reply())
    tokens = iter(["one", "two", "three"])
    get(client, server.url("/x"), headers=lambda: {"Authorization": next(tokens)})
    assert [request.headers["authorization"] for request in server.requests("/x")] == ["one", "two", "three"]


def test_compressed_answers_are_decompressed(client, server):
    server.on("/x", reply(200, gzip.compress(b"[1, 2]"), headers={"Content-Encoding": "gzip"}))
    assert get(client, server.url("/x")).json() == [1, 2]


def test_accepted_statuses_are_returned(client, server):
    server.on("/x", reply(409, b'{"code": 15008}'), reply(409))
    assert create(client, server.url("/x"), accept={409}).json() == {"code": 15008}
    with pytest.raises(ProviderConflict):
        create(client, server.url("/x"), accept={404})


def test_answers_without_a_body(client, server):
    server.on("/x", reply(204))
    answer = client.request("DELETE", server.url("/x"), operation="thing.delete", idempotent=True)
    assert (answer.status, answer.body) == (204, b"")
    assert client.request("HEAD", server.url("/x"), operation="thing.head", idempotent=True).status == 204


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b"{",
        b"NaN",
        b'{"a": -Infinity}',
        b"[1e999]",
        b"[" * 100_000,
        b"\xff\xfe\xfd",
        b"1" * 5000,
    ],
    ids=lambda body: repr(body[:12]),
)
def test_body_other_than_json_is_a_bad_response(body):
    with pytest.raises(ProviderBadResponse) as error:
        Answer(200, {}, body).json()
    assert error.value.provider_status == 200


def test_repr_of_an_answer_omits_its_contents():
    assert CANARY not in repr(Answer(200, {"set-cookie": CANARY}, CANARY.encode()))


def test_body_limit_is_exact(make_client, server):
    client = make_client(answer_cap_bytes=100_000)
    server.on("/fits", reply(200, b"x" * 100_000))
    server.on("/over", reply(200, b"x" * 100_001))
    assert len(create(client, server.url("/fits")).body) == 100_000
    with pytest.raises(ProviderBadResponse):
        create(client, server.url("/over"))


@pytest.mark.parametrize("make_behaviour", [endless, lambda: gzip_bomb(256 << 20)], ids=["endless", "gzip bomb"])
def test_memory_for_a_body_is_bounded(make_client, server, make_behaviour):
    client = make_client(attempt_seconds=5)
    server.on("/x", make_behaviour())
    tracemalloc.start()
    try:
        with pytest.raises(ProviderBadResponse):
            get(client, server.url("/x"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 << 20
