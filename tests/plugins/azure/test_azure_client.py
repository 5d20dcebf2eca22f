"""What the SDK does by itself: it repeats a request once, logs nothing, and waits for a connection briefly."""

import base64
import io
import logging
import time
from datetime import UTC, datetime

import pytest
from azure.core.pipeline.transport import HttpTransport

from videoconf.errors import StorageError, StorageTimeout, StorageUnavailable
from videoconf.storage import EndpointGuard, StorageContext
from videoconf.testing import FaultyServer
from videoconf.testing.faulty_server import ANY, black_hole, hang, reply
from videoconf_azure import client as azure_client
from videoconf_azure.target import AzureTarget

KEY = base64.b64encode(b"a key of the account").decode()
FOUND = reply(200, headers={"Last-Modified": "Mon, 04 May 2026 12:00:00 GMT", "ETag": '"1"'})


@pytest.fixture
def server():
    with FaultyServer() as server:
        yield server


@pytest.fixture
def make_target():
    made = []

    def make(port):
        document = {"container": "archives", "accountName": "acme", "accountKey": KEY, "domain": f"127.0.0.1:{port}"}
        context = StorageContext(lambda: datetime.now(UTC), EndpointGuard((), development=True))
        made.append(AzureTarget(AzureTarget.configuration_schema().load(document), context))
        return made[-1]

    yield make
    for target in made:
        target.close()


@pytest.fixture
def pauses(monkeypatch):
    """The pauses before repeated requests, in seconds; nothing waits for them."""
    seen = []
    monkeypatch.setattr(HttpTransport, "sleep", lambda transport, seconds: seen.append(seconds))
    return seen


def test_failed_request_is_repeated_once(server, make_target, pauses):
    server.on(ANY, reply(503), FOUND)
    assert make_target(server.port).stat("a").modified_at == datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
    server.on(ANY, reply(503))
    with pytest.raises(StorageUnavailable):
        make_target(server.port).stat("b")
    assert [server.count(f"/acme/archives/{key}") for key in "ab"] == [2, 2]


def test_pause_before_a_repeated_request_is_short(server, make_target, pauses):
    server.on(ANY, reply(503))
    target = make_target(server.port)
    for _ in range(20):
        with pytest.raises(StorageUnavailable):
            target.stat("a")
    assert len(pauses) == 20
    assert all(1 <= seconds <= 3 for seconds in pauses)


def test_object_is_written_in_parts(server, make_target):
    """A part is repeated alone, and only one is in memory."""
    server.on(ANY, *[reply(201)] * 3, FOUND)
    make_target(server.port).put("a", io.BytesIO(bytes((4 << 20) + 1)))
    parts = [request for request in server.requests("/acme/archives/a") if "comp=block&" in request.query]
    assert [len(part.body) for part in parts] == [4 << 20, 1]


def test_object_is_read_in_ranges(server, make_target):
    """The SDK holds what a request reads about ten times over, so a request reads little."""
    size, most = (4 << 20) + 1, 2 << 20
    spans = [(start, min(start + most, size) - 1) for start in range(0, size, most)]
    answers = [
        reply(206, bytes(last - first + 1), headers={"Content-Range": f"bytes {first}-{last}/{size}", "ETag": '"1"'})
        for first, last in spans
    ]
    server.on(ANY, *answers)
    with make_target(server.port).open("a") as stream:
        assert stream.read() == bytes(size)
    asked = [request.headers["x-ms-range"] for request in server.requests("/acme/archives/a")]
    assert asked == [f"bytes={first}-{last}" for first, last in spans]


def test_parsed_answer_that_declares_entities_is_refused(server, make_target):
    xml = b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
    headers = {"Content-Range": f"bytes 0-{len(xml) - 1}/{len(xml)}", "ETag": '"1"'}
    server.on(ANY, reply(206, xml, headers=headers))
    with make_target(server.port).open("a") as stream:
        assert stream.read() == xml
    server.on(ANY, reply(300, xml))
    for call in (lambda target: target.open("a"), lambda target: target.put("a", io.BytesIO(b"x"))):
        with pytest.raises(StorageError, match="entities"):
            call(make_target(server.port))
    server.on(ANY, reply(201, xml, headers=headers))
    with pytest.raises(StorageError, match="entities"):
        make_target(server.port).put("a", io.BytesIO(b"x"))


def test_object_is_deleted_with_its_snapshots(server, make_target):
    server.on(ANY, reply(202))
    make_target(server.port).delete("a")
    [deleted] = server.requests("/acme/archives/a")
    assert (deleted.method, deleted.headers["x-ms-delete-snapshots"]) == ("DELETE", "include")


def test_closed_target_has_no_open_connection(server, make_target):
    server.on(ANY, FOUND)
    target = make_target(server.port)
    target.stat("a")
    assert server.open_connection_count == 1
    target.close()
    give_up_at = time.monotonic() + 5
    while server.open_connection_count:
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def test_call_after_the_close_makes_a_new_client(server, make_target):
    """A target that is replaced is closed, and a thread may just be about to call it."""
    server.on(ANY, FOUND)
    target = make_target(server.port)
    target.stat("a")
    target.close()
    target.stat("a")
    assert server.connection_count == 2


def test_calls_share_a_connection(server, make_target):
    server.on(ANY, FOUND)
    target = make_target(server.port)
    for _ in range(3):
        target.stat("a")
    assert server.connection_count == 1


def test_requests_leave_no_line_in_the_log(server, make_target, caplog):
    server.on(ANY, FOUND)
    with caplog.at_level(logging.DEBUG):
        make_target(server.port).stat("a")
    assert [record.name for record in caplog.records if record.name.startswith("azure")] == []


def test_connection_that_is_not_made_ends_soon(make_target, monkeypatch, pauses):
    monkeypatch.setattr(azure_client, "CONNECT_SECONDS", 0.2)
    with black_hole() as port:
        began = time.monotonic()
        with pytest.raises(StorageUnavailable):
            make_target(port).stat("a")
    assert time.monotonic() - began < 5.0, "the default is two attempts of 3 s"


def test_silence_of_the_server_ends_soon(server, make_target, monkeypatch, pauses):
    monkeypatch.setattr(azure_client, "READ_SECONDS", 0.2)
    server.on(ANY, hang())
    began = time.monotonic()
    with pytest.raises(StorageTimeout):
        make_target(server.port).stat("a")
    assert time.monotonic() - began < 5.0, "the default is two attempts of 6 s"
