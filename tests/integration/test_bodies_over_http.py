"""Bodies that are too large, as only a real server receives them: with their length, or in chunks of unknown number."""

import json
import socket
from contextlib import ExitStack

import pytest
import urllib3

from tests.support.service import ON_SQLITE, service_at

KIB = 1024


@pytest.fixture
def service(gunicorn_server, tmp_path, headers):
    server = gunicorn_server()
    with service_at(server.url, tmp_path / "fake.sqlite", headers) as service:
        yield service


def in_chunks(service, path, body, headers):
    """Post a body without its length; return the status and what follows of the answer."""
    blocks = (body[start : start + 8 * KIB] for start in range(0, len(body), 8 * KIB))
    with urllib3.PoolManager(retries=False, timeout=10) as pool:
        url = service.provider.settings.webhook_url + path
        response = pool.request("POST", url, body=blocks, headers=headers, chunked=True)
        return response.status, response.data


@ON_SQLITE
def test_a_webhook_over_256_kib_is_413_however_it_is_sent(service):
    link = service.api.create()
    session = service.api.read(link)["sessionId"]
    for path in ("/webhooks/session", "/webhooks/fake/session"):
        for kib, status in ((200, 204), (300, 413), (2000, 413)):
            sent = service.made_up("moon.risen", session, filling="x" * kib * KIB)
            answer = service.post(sent, path)
            assert answer.status == status, (path, kib)
            again = service.made_up("moon.risen", session, filling="x" * kib * KIB)
            chunked, body = in_chunks(service, path, again.body, again.headers)
            assert chunked == status, (path, kib)
            if status == 413:
                assert answer.problem == (413, "payload_too_large")
                assert json.loads(body)["code"] == "payload_too_large"


@ON_SQLITE
def test_the_limit_is_to_the_byte(service):
    path = "/webhooks/session"
    for size, status in ((256 * KIB, 204), (256 * KIB + 1, 413)):
        body = service.made_up("moon.risen").body.ljust(size)  # JSON may end in blanks
        sent = service.signed(body, "evt_filled")
        assert service.post(sent, path).status == status
        assert in_chunks(service, path, sent.body, sent.headers)[0] == status


@ON_SQLITE
def test_a_call_over_64_kib_is_413_however_it_is_sent(service, headers):
    body = json.dumps({"extMetadata": {"a": "x" * 70 * KIB}}).encode()
    assert service.api("POST", "/session", body, Content_Type="application/json").problem == (413, "payload_too_large")
    status, _ = in_chunks(service, "/session", body, {**headers(), "Content-Type": "application/json"})
    assert status == 413
    small = json.dumps({"extId": "chunked"}).encode()
    status, link = in_chunks(service, "/session", small, {**headers(), "Content-Type": "application/json"})
    assert status == 200
    assert service.api.read(json.loads(link))["extId"] == "chunked"
    assert len(service.api("GET", "/session").json) == 1


@pytest.mark.long
@ON_SQLITE
def test_clients_that_stall_hold_the_threads_for_a_bounded_time(gunicorn_server):
    """As many as there are threads, some in the middle of a body and some in the middle of the headers."""
    server = gunicorn_server(threads=4)
    address = urllib3.util.parse_url(server.url)
    started = "POST /webhooks/session HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n"
    with ExitStack() as stack:
        stalled = []
        for sent in (started + "\r\n{}", started) * 2:
            client = stack.enter_context(socket.create_connection((address.host, address.port), timeout=60))
            client.sendall(sent.encode())
            stalled.append(client)
        server.wait_until_up()
        for client in stalled:
            answer = client.recv(65536)
            assert answer == b"" or b" 400 " in answer.splitlines()[0] or b" 408 " in answer.splitlines()[0]
