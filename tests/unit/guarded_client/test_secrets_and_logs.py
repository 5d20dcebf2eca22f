"""The provider's own words are kept, credentials are not, and a call is one line of the log."""

from __future__ import annotations

import json
import logging
import traceback

import pytest

from tests.unit.guarded_client.calls import CANARY, create, get
from videoconf.errors import (
    ProviderConflict,
    ProviderError,
    ProviderPluginError,
    ProviderRejected,
)
from videoconf.providers.http import CallOutcome
from videoconf.testing.faulty_server import (
    FaultyServer,
    hang,
    raw,
    reply,
    reset,
)


def test_error_keeps_the_providers_code_and_message(client, server):
    said = {"code": 15008, "message": "Only\r\nrouted\x00 sessions\x1b[31m " + "x" * 300, "more": 1}
    server.on("/x", reply(409, json.dumps(said).encode()))
    with pytest.raises(ProviderConflict) as raised:
        create(client, server.url("/x"))
    assert raised.value.provider_code == "15008"
    assert raised.value.provider_message.startswith("Onlyrouted sessions[31m xxx")
    assert len(raised.value.provider_message) == 200
    assert "routed" not in str(raised.value)


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b'{"code": -1, "message": "m", "title": "t"}', "-1", "m"),
        (b'{"title": "t", "detail": "d"}', None, "d"),
        (b'{"title": "t", "detail": null}', None, "t"),
        (b'{"code": {"a": 1}, "message": ["m"]}', None, None),
        (b'["code", "message"]', None, None),
        (b"<html>Bad Gateway</html>", None, None),
        (b"[" * 100_000, None, None),
        (b"", None, None),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_error_bodies_are_read_leniently(client, server, body, code, message):
    server.on("/x", reply(400, body))
    with pytest.raises(ProviderRejected) as raised:
        create(client, server.url("/x"))
    assert (raised.value.provider_code, raised.value.provider_message) == (code, message)


def everything_logged(caplog):
    formatter = logging.Formatter("%(message)s")
    return "\n".join(f"{formatter.format(record)} {vars(record)}" for record in caplog.records)


ECHOES = {
    "answer": reply(200, CANARY.encode()),
    "message": reply(400, json.dumps({"code": f"bad {CANARY}", "message": f"Bad token {CANARY}"}).encode()),
    "signed URL": reply(503, json.dumps({"message": f"see https://x.test/a?sig={CANARY[:9]}-new"}).encode()),
    "malformed head": raw(f"HTTP/1.1 200 OK\r\n{CANARY}\r\n: {CANARY}\r\nA: b\r\n\r\n".encode()),
    "status line": raw(f"{CANARY}\r\n\r\n".encode()),
    "redirect": reply(302, headers={"Location": f"/?{CANARY}"}),
    "length": raw(f"HTTP/1.1 200 OK\r\nContent-Length: {CANARY}\r\n\r\n".encode()),
    "encoding": reply(200, b"x", headers={"Content-Encoding": f"gzip, {CANARY}"}),
    "reset": reset(),
    "hang": hang(),
}


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize(
    "request_options",
    [
        {"headers": {"Authorization": f"Bearer {CANARY}"}},
        {"headers": lambda: {"X-OPENTOK-AUTH": CANARY}},
        {"json": {"config": [{"secretKey": CANARY}]}},
        {"form": {"secret": CANARY}},
        {},
    ],
    ids=["header", "callable header", "json", "form", "query"],
)
def test_credentials_stay_out_of_logs_and_errors(make_client, server, caplog, outcomes, echo, request_options):
    caplog.set_level(logging.DEBUG)
    server.on("/x", ECHOES[echo])
    client = make_client(attempt_seconds=0.05)
    told = ""
    try:
        create(client, server.url("/x" if request_options else f"/x?sig={CANARY}"), **request_options)
    except ProviderError as error:
        told = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    assert server.count("/x") == 1
    assert CANARY[:9] not in everything_logged(caplog) + told + repr(outcomes)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("", {"headers": {"Authorization": f"{CANARY}\r\nX: 1"}}),
        ("", {"headers": {"Authorization": f"{CANARY}é€"}}),
        ("", {"headers": {f"{CANARY} :": "x"}}),
        ("", {"json": {"secret": CANARY, "number": float("nan")}}),
        ("", {"json": {"secret": CANARY, "set": {1}}}),
        ("", {"json": {"a": CANARY}, "form": {"a": "b"}}),
        (f"ftp://127.0.0.1/{CANARY}", {}),
        (f"/{CANARY}", {}),
        (f"http://user:{CANARY}@127.0.0.1/", {}),
        (f"http://127.0.0.1:99999/{CANARY}", {}),
        (f"http://{'a' * 70}.test/{CANARY}", {}),
    ],
)
def test_unbuildable_request_is_a_plugin_error(client, server, caplog, url, options):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ProviderPluginError) as raised:
        create(client, url or server.url("/x"), **options)
    assert server.count("/x") == 0
    assert CANARY not in everything_logged(caplog) + "".join(traceback.format_exception(raised.value))


def test_each_call_logs_one_line(client, server, caplog, outcomes, pauses):
    caplog.set_level(logging.DEBUG)
    server.on("/x", reply(503), reply(200))
    server.on("/y", reply(409))
    get(client, server.url("/x"))
    with pytest.raises(ProviderConflict):
        create(client, server.url("/y"))
    first, second = (record for record in caplog.records if record.name == "videoconf.providers.http")
    assert (first.levelname, first.outcome, first.status, first.attempts) == ("INFO", "ok", 200, 2)
    assert (first.provider, first.account, first.operation, first.method, first.host) == (
        "fake",
        "key-1",
        "thing.get",
        "GET",
        "127.0.0.1",
    )
    assert (second.levelname, second.outcome, second.status) == ("WARNING", "provider_conflict", 409)
    assert "operation=thing.create" in second.getMessage()
    assert 0 <= second.milliseconds < 1000
    assert [(o.provider, o.operation, o.outcome, o.attempts) for o in outcomes] == [
        ("fake", "thing.get", "ok", 2),
        ("fake", "thing.create", "provider_conflict", 1),
    ]
    assert isinstance(outcomes[0], CallOutcome)
    assert 0 < outcomes[0].seconds < 1


def test_proxies_and_netrc_are_ignored(server, make_client, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login me password {CANARY}\n")
    with FaultyServer() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        monkeypatch.setenv("NO_PROXY", "")
        server.on("/x", reply())
        assert get(make_client(), server.url("/x")).status == 200
        assert proxy.connection_count == 0
    assert "authorization" not in server.requests("/x")[0].headers
