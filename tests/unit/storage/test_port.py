"""What leaves the port of a storage target: an error of the taxonomy, or a checked value."""

import asyncio
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from types import SimpleNamespace

import pytest
from marshmallow import Schema, ValidationError, fields

from videoconf.errors import (
    DatabaseBusy,
    InternalError,
    MeetingNotFound,
    StorageDenied,
    StorageError,
    Unauthenticated,
)
from videoconf.storage import (
    EndpointGuard,
    SignedUrl,
    StorageContext,
    StoragePort,
    StoredObject,
    storage_seconds_left,
)
from videoconf.storage.port import load_configuration
from videoconf.testing import Scripted
from videoconf_fake.memory import MemoryTarget

CONTEXT = StorageContext(lambda: datetime.now(UTC), EndpointGuard((), development=False))
CONFIGURATION = {"area": "port", "password": "memory-has-none"}
CALLS = {
    "put": ("key", BytesIO(b"content")),
    "open": ("key",),
    "stat": ("key",),
    "delete": ("key",),
    "probe": (),
}


class OwnError(BaseException):
    """A plugin's own."""


RAISED = [RuntimeError("tops3cret"), SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError(), OwnError()]


@pytest.fixture
def port():
    return StoragePort.of(MemoryTarget, CONFIGURATION, CONTEXT)


@pytest.fixture
def plugin(port):
    return Scripted(port)


def in_thread(call):
    results = []

    def run():
        try:
            results.append(call())
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("error", RAISED, ids=repr)
def test_port_contains_any_error_of_a_target(port, plugin, caplog, operation, error):
    plugin.script("put" if operation == "probe" else operation, error)
    result = in_thread(lambda: getattr(port, operation)(*CALLS[operation]))
    assert type(result) is StorageError
    assert type(error).__name__ in caplog.text
    assert "tops3cret" not in caplog.text, "an SDK's error may repeat a credential"
    assert result.__suppress_context__


@pytest.mark.parametrize("operation", CALLS)
def test_errors_of_the_taxonomy_pass(port, plugin, operation):
    plugin.script(operation, error := StorageDenied())
    if operation == "probe":
        plugin.script("put", error)
    assert in_thread(lambda: getattr(port, operation)(*CALLS[operation])) is error


@pytest.mark.parametrize(("operation", "longest"), [("stat", 15.0), ("delete", 15.0), ("probe", 12.0)])
def test_call_that_moves_no_object_has_a_deadline(port, plugin, operation, longest):
    def look(*args, **kwargs):
        seen.append(storage_seconds_left())
        raise StorageDenied

    seen = []
    plugin.script("put" if operation == "probe" else operation, look)
    with pytest.raises(StorageDenied):
        getattr(port, operation)(*CALLS[operation])
    assert 0.0 < seen[0] <= longest


def test_probe_of_the_plugins_own_is_called():
    class Probed(MemoryTarget):
        def probe(self):
            raise OwnError

    result = in_thread(StoragePort.of(Probed, CONFIGURATION, CONTEXT).probe)
    assert type(result) is StorageError


def test_parts_of_a_probe_are_calls():
    @contextmanager
    def around(kind, operation):
        calls.append((kind, operation))
        yield

    calls = []
    StoragePort.of(MemoryTarget, CONFIGURATION, CONTEXT, around).probe()
    assert calls == [("memory", operation) for operation in ("probe", "put", "open", "delete")]


@pytest.mark.parametrize("operation", ["put", "stat"])
def test_value_of_another_type_is_the_plugins_fault(port, plugin, operation):
    plugin.script(operation, {"size": 1})
    with pytest.raises(StorageError):
        getattr(port, operation)(*CALLS[operation])
    plugin.script("signed_url", "https://bucket.example.com")
    with pytest.raises(StorageError):
        port.signed_url("key", expires_in_seconds=60)


@pytest.mark.parametrize("size", [-1, 1.5, "7", True])
def test_size_other_than_a_count_of_bytes_is_the_plugins_fault(port, plugin, size):
    plugin.script("stat", StoredObject("key", size))
    with pytest.raises(StorageError):
        port.stat("key")


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "javascript://bucket.example.com/%0aalert(1)",
        "data:text/html,x",
        "http://bucket.example.com/a",
        "//bucket.example.com/a",
        "https://user:word@bucket.example.com/a",
        "https://bucket.example.com/a\r\nSet-Cookie: a=b",
        "https://bucket.example.com/" + "a" * 8192,
    ],
    ids=range(9),
)
def test_url_that_is_unsafe_to_open_is_not_handed_out(port, plugin, url):
    plugin.script("signed_url", SignedUrl(url, datetime.now(UTC)))
    with pytest.raises(StorageError) as refused:
        port.signed_url("key", expires_in_seconds=60)
    assert type(refused.value) is StorageError


def test_url_without_a_time_zone_is_not_handed_out(port, plugin):
    plugin.script("signed_url", SignedUrl("https://bucket.example.com/a", datetime(2026, 11, 30)))
    with pytest.raises(StorageError):
        port.signed_url("key", expires_in_seconds=60)


@pytest.mark.parametrize("error", [MeetingNotFound(), Unauthenticated(), DatabaseBusy(), InternalError()], ids=repr)
def test_error_of_another_part_is_the_plugins_fault(port, plugin, error):
    plugin.script("stat", error)
    with pytest.raises(StorageError) as raised:
        port.stat("key")
    assert type(raised.value) is StorageError


def test_description_that_is_not_json_is_the_plugins_fault(port, plugin):
    plugin.script("describe", {"area": float("nan")})
    with pytest.raises(StorageError):
        port.description(CONFIGURATION)


def test_url_of_a_target_is_returned(port):
    assert isinstance(port.signed_url("key", expires_in_seconds=60), SignedUrl)


@pytest.mark.parametrize("error", RAISED, ids=repr)
def test_reading_is_contained(port, plugin, error):
    def fail(*args):
        raise error

    plugin.script("open", SimpleNamespace(read=fail, close=lambda: None))
    stream = port.open("key")
    assert type(in_thread(lambda: stream.read(1))) is StorageError
    stream.close()


@pytest.mark.parametrize("error", RAISED, ids=repr)
def test_making_describing_and_closing_are_contained(error):
    class Bad(MemoryTarget):
        def __init__(self, configuration, context):
            raise error

        @classmethod
        def describe(cls, configuration):
            raise error

        def close(self):
            raise error

    assert type(in_thread(lambda: StoragePort.of(Bad, CONFIGURATION, CONTEXT))) is StorageError
    port = StoragePort(Bad.__new__(Bad))
    assert type(in_thread(lambda: port.description(CONFIGURATION))) is StorageError
    assert in_thread(port.close) is None


def test_schema_refuses_a_body_and_its_bug_is_the_plugins_fault():
    class Broken(Schema):
        area = fields.String(validate=lambda value: 1 / 0)

    class Bad(MemoryTarget):
        configuration_schema = Broken

    assert load_configuration(MemoryTarget, CONFIGURATION)["area"] == "port"
    with pytest.raises(ValidationError):
        load_configuration(MemoryTarget, {})
    with pytest.raises(StorageError):
        load_configuration(Bad, {"area": "any"})
