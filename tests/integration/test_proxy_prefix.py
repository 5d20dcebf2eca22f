"""Below a path prefix that a proxy removes, every link leads back through the proxy."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urljoin
from urllib.request import Request, urlopen

import pytest
from flask import Flask

from tests.support.service import ON_SQLITE

ROOT = Path(__file__).parents[2]
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
PAGE = (ROOT / "docs/how-to/proxy-prefix.md").read_text()
MakeApp = Callable[..., Flask]
Headers = Callable[..., dict[str, str]]

pytestmark = ON_SQLITE


def links_below(app: Flask, headers: dict[str, str], **sent: str) -> list[str]:
    """Create a meeting and list two; return the paths to which the answers lead."""
    client = app.test_client()
    headers = {**headers, **{name.replace("_", "-"): value for name, value in sent.items()}}
    client.post("/session", json={}, headers=headers)
    created = client.post("/session", json={}, headers={**headers, "Prefer": "return=representation"})
    listed = client.get("/session?limit=1", headers=headers)
    paged = client.get("/session?page=1&pageSize=1", headers=headers)
    document = client.get("/openapi.json", headers=headers)
    return [
        created.headers["Location"],
        *re.findall(r"<([^>]+)>", listed.headers["Link"] + paged.headers["Link"]),
        document.json["servers"][0]["url"],
    ]


@pytest.mark.parametrize("sent", ["/video", "/video/", "/a, /video"])
def test_links_have_the_prefix_that_a_trusted_proxy_removed(make_app: MakeApp, headers: Headers, sent: str) -> None:
    found = links_below(make_app(trusted_proxies=1), headers(), X_Forwarded_Prefix=sent)
    assert len(found) > 4
    assert [link for link in found if not re.match(r"/video(/session|$)", link)] == []


@pytest.mark.parametrize("sent", ["//evil.example", "https://evil.example", "video", "/a b", "/<x>", "/", "/..//x", ""])
def test_prefix_that_is_not_a_path_is_ignored(make_app: MakeApp, headers: Headers, sent: str) -> None:
    found = links_below(make_app(trusted_proxies=1), headers(), X_Forwarded_Prefix=sent)
    assert [link for link in found if not re.match(r"/(session|$)", link)] == []


def test_prefix_of_an_untrusted_client_is_ignored(make_app: MakeApp, headers: Headers) -> None:
    found = links_below(make_app(), headers(), X_Forwarded_Prefix="/video")
    assert [link for link in found if link.startswith("/video")] == []


def test_prefix_of_the_settings_is_not_doubled(make_app: MakeApp, headers: Headers) -> None:
    client = make_app(trusted_proxies=1, path_prefix="/video").test_client()
    sent = {**headers(), "X-Forwarded-Prefix": "/video"}
    created = client.post("/video/session", json={}, headers=sent | {"Prefer": "return=representation"})
    assert created.headers["Location"].startswith("/video/session/")


def test_one_of_two_proxies_removes_the_prefix(make_app: MakeApp, headers: Headers) -> None:
    found = links_below(make_app(trusted_proxies=2), headers(), X_Forwarded_Prefix="/video", X_Forwarded_For="a, b")
    assert all(link.startswith("/video") for link in found)


# --- with nginx as the page configures it ---------------------------------------------------------------------------


@pytest.fixture
def proxied(gunicorn_server: Callable[..., Any], tmp_path: Path) -> Iterator[str]:
    """The service behind nginx with the lines of the page; the URL with the prefix."""
    lines = re.search(r"```nginx\n(.*?)```", PAGE, re.DOTALL)
    assert lines is not None
    node = gunicorn_server(VIDEOCONF_TRUSTED_PROXIES="1", VIDEOCONF_PUBLIC_URL="https://www.example.com/video")
    with socket.socket() as front:
        front.bind(("127.0.0.1", 0))
        port = front.getsockname()[1]
    text = (ROOT / "deploy/nginx.conf").read_text()
    for old, new in (
        ('        proxy_set_header X-Forwarded-Prefix "";\n', lines[1]),
        ("listen 8080", f"listen 127.0.0.1:{port}"),
        (" /tmp/", f" {tmp_path}/"),
        ("server node1:8000", f"server {node.url.removeprefix('http://')}"),
        ("server node2:8000", f"server {node.url.removeprefix('http://')}"),
    ):
        assert old in text
        text = text.replace(old, new)
    file = tmp_path / "nginx.conf"
    file.write_text(text)
    proxy = subprocess.Popen([str(NGINX), "-c", file, "-g", "daemon off;"])
    try:
        deadline = time.monotonic() + 20
        while fetch(f"http://127.0.0.1:{port}/video/healthz")[0] != 200:
            assert time.monotonic() < deadline, "nginx does not answer"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/video"
    finally:
        proxy.terminate()
        proxy.wait(10)


def fetch(url: str, body: Any = None, **headers: str) -> tuple[int, Any, bytes]:
    """Send a request, and follow no redirect."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data, {"Content-Type": "application/json", **headers})
    try:
        with urlopen(request, timeout=10) as answer:
            return answer.status, {**answer.headers, "url": answer.url}, answer.read()
    except HTTPError as refused:
        with refused:
            return refused.code, {**refused.headers}, refused.read()
    except OSError:
        return 0, {}, b""


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed (apt-get install nginx-light)")
def test_every_link_works_through_nginx(proxied: str, headers: Headers) -> None:
    sent = headers()
    for _ in range(2):
        status, answer, _ = fetch(f"{proxied}/session", {}, **sent, Prefer="return=representation")
        assert status == 200
    assert fetch(urljoin(proxied, answer["Location"]), **sent)[0] == 200
    status, answer, first = fetch(f"{proxied}/session?limit=1", **sent)
    [link] = re.findall(r"<([^>]+)>", answer["Link"])
    status, _, second = fetch(urljoin(proxied, link), **sent)
    assert (status, first != second) == (200, True)
    # The page of the documentation, its parts, and the document by which it calls the service.
    for entrance in (proxied, f"{proxied}/"):
        status, answer, page = fetch(entrance)
        assert (status, answer["url"]) == (200, f"{proxied}/docs")
    for part in ("openapi.json", *re.findall(r'(?:src|href)="([^"]+)"', page.decode())):
        status, _, body = fetch(urljoin(f"{proxied}/docs", part))
        assert status == 200, part
        if part == "openapi.json":
            server = json.loads(body)["servers"][0]["url"]
            assert fetch(urljoin(f"{proxied}/openapi.json", server) + "/healthz")[0] == 200
    for hidden in ("/readyz", "/readyz/"):
        assert fetch(proxied + hidden)[0] == 404
