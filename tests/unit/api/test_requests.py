"""What is refused before any schema sees it: never a 500, never a truncated body."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from videoconf.api.json_body import MAX_DEPTH, MAX_KEYS, parse_json
from videoconf.errors import MalformedRequest

Headers = Callable[..., dict[str, str]]


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    return (opening * depth + closing * depth).encode()


# --- strict JSON ----------------------------------------------------------------------------------------------------

REFUSED = {
    "nothing": b"",
    "no JSON": b"{a: 1}",
    "two values": b"{} {}",
    "cut off": b'{"a": ',
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "latin-1": '{"a": "é"}'.encode("latin-1"),
    "overlong UTF-8": b'{"a": "\xc0\x80"}',
    "surrogate as UTF-8": b'{"a": "\xed\xa0\x80"}',
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": Infinity}',
    "-Infinity": b"[-Infinity]",
    "1e999": b'{"a": 1e999}',
    "-1e999": b"-1e999",
    "5,000 digits": b'{"a": %s}' % (b"9" * 5000),
    "a fraction of 65 bits": b"[9223372036854775808.0]",
    "a fraction of 65 bits below": b"-9223372036854775808.0",
    "1e308": b'{"a": [1, -1e308]}',
    "1e-39": b"1e-39",
    "-1e-320": b"[-1e-320]",
    "65 bits": b"9223372036854775808",
    "65 bits below": b"-9223372036854775809",
    "duplicate key": b'{"a": 1, "a": 1}',
    "duplicate key inside": b'[{"b": {"a": 1, "\\u0061": 2}}]',
    "NUL": b'{"a": "x\\u0000"}',
    "raw NUL": b'{"a": "x\x00"}',
    "NUL in a key": b'{"\\u0000": 1}',
    "lone surrogate": b'{"a": "\\ud800"}',
    "lone low surrogate": b'["\\udfff x"]',
    "surrogate in a key": b'{"a": {"\\udc00": 1}}',
    "33 lists": nested(MAX_DEPTH + 1),
    "33 lists around something": b"[" * 33 + b"1" + b"]" * 33,
    "33 objects": b'{"a":' * 33 + b"1" + b"}" * 33,
    "1,000 lists": nested(1000),
    "30,000 lists": nested(30_000),
    "30,000 opened lists": b"[" * 30_000,
    "5,000 objects": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "1,001 keys": json.dumps({f"k{i}": i for i in range(MAX_KEYS + 1)}).encode(),
    "1,001 keys here and there": json.dumps([{"a": 1, "b": 2}] * 501).encode(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_unstorable_or_excessive_json_is_refused(name: str) -> None:
    with pytest.raises(MalformedRequest) as raised:
        parse_json(REFUSED[name])
    assert raised.value.detail != MalformedRequest.title  # it says what is wrong


def test_a_byte_order_mark_is_named() -> None:
    with pytest.raises(MalformedRequest, match="byte order mark; send plain UTF-8"):
        parse_json(REFUSED["byte order mark"])


@pytest.mark.parametrize("name", [name for name in REFUSED if name != "nothing"])
def test_unusable_json_answers_a_problem_over_http(client: FlaskClient, headers: Headers, name: str) -> None:
    response = client.post("/things", data=REFUSED[name], content_type="application/json", headers=headers())
    assert (response.status_code, response.get_json(force=True)["code"]) == (400, "malformed_request")


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"a": "\\ud83d\\ude00 👩‍👧 é \\uffff \\u202e"}',
        "[-0, -0.0, 0.5, 1e18, -9.2e18, -1e-38, 9223372036854775807, -9223372036854775808, true, null]",
        nested(MAX_DEPTH).decode(),
        "[" * 32 + "1" + "]" * 32,
        json.dumps({f"k{i}": [i] for i in range(MAX_KEYS)}),
        ' \n {"a":\t"\\t\\n"} ',
    ],
)
def test_valid_json_is_parsed_exactly(body: str) -> None:
    assert parse_json(body.encode()) == json.loads(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON.map(json.dumps).map(str.encode) | st.binary() | st.text().map(str.encode))
def test_any_bytes_give_a_value_or_a_clear_refusal(body: bytes) -> None:
    try:
        value = parse_json(body)
    except MalformedRequest:
        return
    # What was taken can be written again by the strictest of writers, in UTF-8.
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


@pytest.fixture(scope="module")
def module_client() -> FlaskClient:
    """A client that a hypothesis test may use for all its examples."""
    from tests.support.settings import JWT_SECRET
    from tests.unit.api.shell import shell_with
    from videoconf.settings import Secret, Settings

    return shell_with(Settings(jwt_secrets=(Secret(JWT_SECRET),))).test_client()


@given(
    body=JSON
    | st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("name", "startsOn", "isOpen", "seatCount", "extMetadata", "schedule"), JSON)
    )
)
def test_any_json_is_accepted_or_refused_without_a_500(module_client: FlaskClient, headers: Headers, body: Any) -> None:
    response = module_client.post("/things", data=json.dumps(body), content_type="application/json", headers=headers())
    assert response.status_code in (200, 400, 422)
    if response.status_code != 200:
        assert response.content_type == "application/problem+json"


@given(query=st.dictionaries(st.sampled_from(["page", "pageSize", "isOpen", "x"]) | st.text(), st.text()))
def test_any_query_is_accepted_or_refused_without_a_500(
    module_client: FlaskClient, headers: Headers, query: Any
) -> None:
    assert module_client.get("/things", query_string=query, headers=headers()).status_code in (200, 422)


# --- content types --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON; charset="UTF-8"',
        "application/x.y+json",
    ],
)
def test_every_json_content_type_is_accepted(client: FlaskClient, headers: Headers, content_type: str) -> None:
    response = client.post("/things", data=b'{"name": "a"}', headers=headers() | {"Content-Type": content_type})
    assert (response.status_code, response.get_json()) == (200, {"name": "a"})


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json+x",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "x\xff",
    ],
)
def test_another_content_type_is_415(client: FlaskClient, headers: Headers, content_type: str | None) -> None:
    sent = headers() | ({} if content_type is None else {"Content-Type": content_type})
    response = client.post("/things", data=b'{"name": "a"}', headers=sent)
    assert (response.status_code, response.get_json(force=True)["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain", "application/x-www-form-urlencoded"])
def test_missing_body_is_an_empty_object(client: FlaskClient, headers: Headers, content_type: str | None) -> None:
    response = client.post("/things", content_type=content_type, headers=headers())
    assert (response.status_code, response.get_json()) == (200, {})


@pytest.mark.parametrize("body", [b"null", b'"x"', b"[]", b"1", b"[{}]"])
def test_json_other_than_an_object_answers_422(client: FlaskClient, headers: Headers, body: bytes) -> None:
    response = client.post("/things", data=body, content_type="application/json", headers=headers())
    assert (response.status_code, list(response.get_json(force=True)["errors"])) == (422, ["$"])


# --- limits ---------------------------------------------------------------------------------------------------------


def padded(size_bytes: int) -> bytes:
    return b"{}" + b" " * (size_bytes - 2)


@pytest.mark.parametrize(("size_bytes", "status"), [(65_536, 200), (65_537, 413), (65_538, 413), (1_600_000, 413)])
def test_a_body_is_64_kib_at_most(client: FlaskClient, headers: Headers, size_bytes: int, status: int) -> None:
    response = client.post("/things", data=padded(size_bytes), content_type="application/json", headers=headers())
    assert response.status_code == status
    if status == 413:
        assert response.get_json(force=True)["detail"] == "The body is over 64 KiB."


@pytest.mark.parametrize(("size_bytes", "status"), [(262_144, 200), (262_145, 413), (307_200, 413)])
def test_a_webhook_is_256_kib_at_most(client: FlaskClient, size_bytes: int, status: int) -> None:
    response = client.post("/hooks", data=b"x" * size_bytes)
    assert response.status_code == status


def test_a_stranger_is_refused_before_the_body_is_read(client: FlaskClient) -> None:
    class Unread:
        def read(self, *args: int) -> bytes:
            raise AssertionError("the body was read")

    sent = {"wsgi.input": Unread(), "CONTENT_LENGTH": "10", "CONTENT_TYPE": "application/json"}
    response = client.post("/things", environ_overrides=sent)
    assert response.status_code == 401


def test_a_body_that_breaks_off_is_the_senders_fault(client: FlaskClient, headers: Headers) -> None:
    class Broken:
        def read(self, *args: int) -> bytes:
            raise TimeoutError("the socket")

    sent = {"wsgi.input": Broken(), "CONTENT_LENGTH": "10", "CONTENT_TYPE": "application/json"}
    response = client.post("/things", headers=headers(), environ_overrides=sent)
    assert (response.status_code, response.get_json(force=True)["code"]) == (400, "malformed_request")


SERVER = """
from tests.support.settings import JWT_SECRET
from tests.unit.api.shell import shell_with
from videoconf.settings import Secret, Settings
shell = shell_with(Settings(jwt_secrets=(Secret(JWT_SECRET),)))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A real gunicorn: what happens to chunked bodies is between it and the framework. Gives its port."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "served.py").write_text(SERVER)
    listener = socket.create_server(("127.0.0.1", 0))
    root = Path(__file__).parents[3]
    command = [sys.executable, "-m", "gunicorn", "served:shell", "--bind", f"fd://{listener.fileno()}"]
    options = ["--worker-class", "gthread", "--threads", "2", "--no-control-socket", "--pythonpath", f"{folder},{root}"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, *options], cwd=folder, pass_fds=[listener.fileno()], stdout=log, stderr=log
        )
    try:
        yield listener.getsockname()[1]  # connections wait in the listener until the server takes them
    finally:
        process.terminate()
        process.wait(20)
        listener.close()


def talk(port: int, head: str, body: bytes) -> tuple[int, bytes]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(f"{head}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        with suppress(BrokenPipeError, ConnectionResetError):  # it may answer before it has read everything
            connection.sendall(body)
        with suppress(ConnectionResetError):
            while part := connection.recv(65_536):
                answer += part
    head_bytes, _, answer_body = answer.partition(b"\r\n\r\n")
    return int(head_bytes.split()[1]), answer_body


def chunked(body: bytes, size_bytes: int = 8192) -> bytes:
    parts = [body[start : start + size_bytes] for start in range(0, len(body), size_bytes)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("path", "size_bytes", "status"),
    [
        ("/hooks", 262_144, 200),
        ("/hooks", 262_145, 413),
        ("/hooks", 307_200, 413),
        ("/things", 65_536, 200),
        ("/things", 65_537, 413),
        ("/things", 131_072, 413),
    ],
)
def test_a_chunked_body_is_whole_or_413_and_never_truncated(
    server: int, headers: Headers, path: str, size_bytes: int, status: int
) -> None:
    authorization = headers()["Authorization"]
    head = f"POST {path} HTTP/1.1\r\nAuthorization: {authorization}\r\nContent-Type: application/json"
    got, answer = talk(server, f"{head}\r\nTransfer-Encoding: chunked", chunked(padded(size_bytes)))
    assert got == status
    if (path, status) == ("/hooks", 200):
        assert json.loads(answer) == {"size": size_bytes}
    if status == 413:
        assert b"payload_too_large" in answer


def test_a_broken_chunk_is_400(server: int) -> None:
    head = "POST /hooks HTTP/1.1\r\nTransfer-Encoding: chunked"
    assert talk(server, head, b"zz\r\nhello\r\n0\r\n\r\n")[0] == 400


def test_two_authorization_headers_are_401(server: int, headers: Headers) -> None:
    one = f"Authorization: {headers()['Authorization']}"
    assert talk(server, f"GET /who HTTP/1.1\r\n{one}", b"")[0] == 200
    assert talk(server, f"GET /who HTTP/1.1\r\n{one}\r\n{one}", b"")[0] == 401


# --- request ids and headers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", ["a", "A-b_c.d:e/f", "0" * 128, "4bf92f3577b34da6a3ce929d0e0e4736"])
def test_a_sane_request_id_is_kept(client: FlaskClient, sent: str) -> None:
    assert client.get("/nowhere", headers={"X-Request-ID": sent}).headers["X-Request-ID"] == sent


@pytest.mark.parametrize("sent", ["", "a b", "0" * 129, "é", "a;b", "<script>", "a,b", "{}", "١٢", "a\tb", "%0d%0a"])
def test_invalid_request_id_is_replaced(client: FlaskClient, sent: str) -> None:
    ids = {
        client.get("/nowhere", environ_overrides={"HTTP_X_REQUEST_ID": sent}).headers["X-Request-ID"] for _ in range(2)
    }
    assert len(ids) == 2
    assert all(len(found) == 32 and found.isalnum() for found in ids)


def test_a_newline_cannot_be_smuggled_into_the_answer(client: FlaskClient) -> None:
    response = client.get("/nowhere", environ_overrides={"HTTP_X_REQUEST_ID": "ok\n"})
    assert response.headers["X-Request-ID"] != "ok\n"
    assert "\n" not in response.headers["X-Request-ID"]


def test_requests_in_one_context_have_their_own_id_and_caller(shell: Flask, headers: Headers) -> None:
    client = shell.test_client()
    with shell.app_context():
        first = client.get("/who", headers=headers(subject="first")).get_json()
        second = client.get("/who", headers=headers(subject="second")).get_json()
    assert (first["subject"], second["subject"]) == ("first", "second")
    assert first["requestId"] != second["requestId"]


@pytest.mark.parametrize("path", ["/who", "/nowhere", "/openapi.json", "/docs", "/docs/init.js"])
def test_every_answer_has_the_security_headers(client: FlaskClient, headers: Headers, path: str) -> None:
    with client.get(path, headers=headers()) as response:
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
        assert response.headers["Cache-Control"] == (
            "no-store" if path in ("/who", "/nowhere") else "public, max-age=300"
        )


def test_empty_answer_has_no_content_type(client: FlaskClient, headers: Headers) -> None:
    response = client.delete("/things/a", headers=headers())
    assert (response.status_code, response.data) == (204, b"")
    assert "Content-Type" not in response.headers
