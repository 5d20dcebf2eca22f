"""The calls that the tests of the guarded client make."""

from __future__ import annotations

import contextlib
import socket
import time

from videoconf.errors import (
    ProviderBadResponse,
    ProviderTimeout,
)
from videoconf.testing.faulty_server import (
    drip_body,
    drip_head,
    endless,
    hang,
    raw,
    reply,
    reset,
    truncated,
)

CANARY = "canary-7f3a9c51e0d2"
OVERSHOOT_SECONDS = 0.3


def get(client, url, *, idempotent=True, **options):
    return client.request("GET", url, operation="thing.get", idempotent=idempotent, **options)


def create(client, url, **options):
    return client.request("POST", url, operation="thing.create", idempotent=False, **options)


@contextlib.contextmanager
def within(seconds):
    started = time.monotonic()
    yield
    assert time.monotonic() - started <= seconds


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


NOT_ANSWERED = {
    "hang": (hang(), ProviderTimeout),
    "reset after reading": (reset(), ProviderTimeout),
    "reset in the head": (reset(b"HTTP/1.1 200 OK\r\nContent-"), ProviderTimeout),
    "reset in the body": (reset(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), ProviderTimeout),
    "closed without an answer": (raw(b""), ProviderTimeout),
    "drip in the head": (drip_head(0.05), ProviderTimeout),
    "drip in the body": (drip_body(0.05), ProviderTimeout),
    "not HTTP": (raw(b"SSH-2.0-OpenSSH_9.6\r\n"), ProviderBadResponse),
    "half a status line": (raw(b"HTTP/1.1 2"), ProviderBadResponse),
    "endless status line": (raw(b"HTTP/1.1 200 " + b"x" * 100_000), ProviderBadResponse),
    "too many fields": (raw(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n"), ProviderBadResponse),
    "two lengths": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nab"), ProviderBadResponse),
    "truncated": (truncated(b"{}"), ProviderBadResponse),
    "truncated chunks": (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nab"), ProviderBadResponse),
    "broken chunk": (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab"), ProviderBadResponse),
    "broken gzip": (reply(200, b"no gzip", headers={"Content-Encoding": "gzip"}), ProviderBadResponse),
    "redirect": (reply(302, headers={"Location": "/elsewhere"}), ProviderBadResponse),
    "endless body": (endless(), ProviderBadResponse),
}
