"""Each route has one form at a server: what is written otherwise answers 404, and no header renames a route."""

import json
import socket
from urllib.parse import urlsplit

import pytest


@pytest.fixture
def send(module_server):
    """Give a function that sends a request with its target as it is; it returns the status and the document."""
    url = module_server[1].url

    def send(method, target, **headers):
        lines = [f"{method} {target} HTTP/1.1", "Host: x", "Connection: close", "Content-Length: 0"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        with socket.create_connection(("127.0.0.1", urlsplit(url).port), 10) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body) if body else None

    return send


def test_route_in_its_form_is_served(send):
    assert send("GET", "/healthz")[0] == 200
    assert send("GET", "http://x/healthz")[0] == 200


@pytest.mark.parametrize(
    "target",
    ["//healthz", "///healthz", "/%2fhealthz", "/%2Fhealthz", "/%68ealthz", "/healthz#x", "http://x//healthz"],
)
def test_route_in_another_form_answers_404(send, target):
    for method in ("GET", "DELETE", "OPTIONS"):
        status, problem = send(method, target)
        assert (status, problem["code"]) == (404, "not_found"), method


def test_meeting_is_changed_by_its_one_path_alone(send, headers):
    token = headers()
    status, link = send("POST", "/session", **token)
    assert status == 200
    for target in (f"//session/{link}", f"/session%2f{link}", f"/%73ession/{link}"):
        assert send("DELETE", target, **token)[0] == 404
    assert send("DELETE", f"/session/{link}", **token)[0] == 204


@pytest.mark.parametrize("name", ["SCRIPT_NAME", "PATH_INFO", "Script-Name", "X-Forwarded-Prefix", "X-Script-Name"])
def test_header_renames_no_route(send, name):
    assert send("GET", "/video/healthz", **{name: "/video"})[0] == 404
    assert send("GET", "/healthz", **{name: "/health"})[0] == 200
