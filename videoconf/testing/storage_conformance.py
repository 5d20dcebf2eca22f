"""The scenarios of a storage target: what goes in comes out, in bounded memory; failures have their own classes."""

from __future__ import annotations

import hashlib
import io
import json
import secrets
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from threading import Barrier
from typing import Any, BinaryIO, ClassVar, cast

import pytest
from marshmallow import RAISE

from videoconf.errors import (
    StorageContainerNotFound,
    StorageDenied,
    StorageEndpointRefused,
    StorageError,
    StorageTimeout,
    StorageUnavailable,
    StoredObjectNotFound,
)
from videoconf.pytest_plugin import functions_of_python
from videoconf.storage import EndpointGuard, StorageContext, StorageTarget, StoredObject
from videoconf.storage.base import CONTRACT_VERSION
from videoconf.testing.harness import SteppedClock, leaked, logged, unwritten, wrong
from videoconf.testing.leftovers import Leftovers, check_functions
from videoconf.testing.provider_conformance import KEY
from videoconf.testing.storage_faults import StorageFaults
from videoconf.testing.storage_objects import BLOCK_BYTES, LONGEST_SECONDS, Source, break_off, fetch, holds, read, send

LARGE_BYTES = 64 << 20
MEMORY_BYTES = 32 << 20
"""What a large object may take of memory on its way: a few parts of some MiB, however often an SDK copies each."""
EXPIRY_SECONDS = 5.0
OBJECT_KEYS = ("k", "K", "a/b/c.mp4", "A-z_0.9", "deep/" * 20 + "end", "x" * 200, "x" * 199 + "y")


class StorageConformance(StorageFaults):
    """What the core relies on in any storage target. Subclass it as ``Test…`` and write the fixtures and methods.

    A scenario writes below a prefix of its own and leaves nothing behind that it was not testing.
    """

    holds_objects_in_memory: ClassVar[bool] = False
    """True for a target that is memory: then its memory cannot be bounded."""
    foreign_configuration: ClassVar[Mapping[str, Any] | None] = None
    """A configuration that names a host which is not the vendor's; None if a configuration names no host."""

    range_status: ClassVar[int] = 206
    """What the stand-in answers with a part of an object; another one where it is known to be wrong about that."""

    @pytest.fixture
    def context(self) -> StorageContext:
        """Give what the target is made with: this machine is allowed, as in development. Its clock is the real one."""
        return StorageContext(_RealClock(), EndpointGuard((), development=True))

    @pytest.fixture
    def target(self, context: StorageContext) -> Iterator[StorageTarget]:
        """Give a target that works, on an empty bucket or container of a stand-in or emulator; close it afterwards."""
        unwritten("the fixture `target`: make the target with `context`, on an empty bucket, and yield it")

    def denied(self, context: StorageContext) -> StorageTarget:
        """Make a target of the same bucket with credentials that are wrong."""
        unwritten("denied(): make the target with wrong credentials")

    def without_container(self, context: StorageContext) -> StorageTarget:
        """Make a target of a bucket or container that does not exist."""
        unwritten("without_container(): make the target with a bucket or container that does not exist")

    # --- what it is -------------------------------------------------------------------------------------------------

    def test_S01_names_and_configuration(self, target: StorageTarget) -> None:
        """It has a key, names for the wire and for people, and a schema that takes nothing that it does not know."""
        cls = type(target)
        if not KEY.fullmatch(getattr(cls, "key", "")):
            wrong(f"`key` is {getattr(cls, 'key', None)!r}: it must match {KEY.pattern}")
        if not all(getattr(cls, name, "").strip() for name in ("wire_name", "label")):
            wrong("`wire_name` and `label` must be texts")
        if cls.contract_version != CONTRACT_VERSION:
            wrong(f"`contract_version` is {cls.contract_version}, and this videoconf offers {CONTRACT_VERSION}")
        schema = cls.configuration_schema()
        if schema.unknown != RAISE or "kitUnknownField" not in schema.validate({"kitUnknownField": 1}):
            wrong("`configuration_schema` takes a field that it does not know: a misspelt one would be ignored")
        if missing := (cls.secret_fields | cls.masked_fields) - schema.fields.keys():
            wrong(f"`secret_fields` and `masked_fields` name fields of the schema; it lacks {sorted(missing)}")

    def test_S02_secrets_are_not_shown(self, target: StorageTarget) -> None:
        """What may be shown of a configuration holds no secret field, nor does the target's repr or its log."""
        shown = json.dumps(type(target).describe(target.configuration))
        if leaked(self._secrets(target), shown):
            wrong("describe() shows a secret field")
        with logged() as lines:
            target.put("kit/secret", io.BytesIO(b"x"))
            target.delete("kit/secret")
        if leaked(self._secrets(target), repr(target), *lines):
            wrong("a secret is in the repr of the target or in its log")

    # --- in and out -------------------------------------------------------------------------------------------------

    def test_S03_round_trip(self, target: StorageTarget) -> None:
        """What was put is what is read, and stat tells its size and type; nothing at all is an object too."""
        for content in (b"", b"\x00\xff kit", secrets.token_bytes(3 * BLOCK_BYTES + 1)):
            put = target.put("kit/round", io.BytesIO(content), content_type="video/mp4")
            for what, said in (("put()", put), ("stat()", target.stat("kit/round"))):
                if (said.key, said.size_bytes) != ("kit/round", len(content)):
                    wrong(f"{what} says {said}; it is `kit/round`, of {len(content)} bytes")
            if target.stat("kit/round").content_type != "video/mp4":
                wrong("stat() does not tell the content type that was put")
            if read(target, "kit/round") != content:
                wrong(f"an object of {len(content)} bytes comes back changed")
        target.delete("kit/round")

    def test_S04_bounded_memory(self, target: StorageTarget) -> None:
        """An object of any size goes in and out in bounded memory."""
        if self.holds_objects_in_memory:
            pytest.skip("the target is memory (`holds_objects_in_memory`)")
        self._load_libraries(target)
        source = Source(LARGE_BYTES)
        with _measured("put()"):
            target.put("kit/large", cast("BinaryIO", source))
        arrived = hashlib.sha256()
        with _measured("open()"), closing(target.open("kit/large")) as stream:
            while block := stream.read(BLOCK_BYTES):
                arrived.update(block)
        if arrived.digest() != source.digest.digest():
            wrong("a large object comes back changed")
        target.delete("kit/large")

    def test_S05_replacing(self, target: StorageTarget) -> None:
        """Putting under a key that is taken replaces what was there."""
        target.put("kit/twice", io.BytesIO(b"first and longer"))
        target.put("kit/twice", io.BytesIO(b"second"))
        if read(target, "kit/twice") != b"second":
            wrong("the first object is still there after a second put")
        target.delete("kit/twice")

    def test_S06_missing_key(self, target: StorageTarget) -> None:
        """A key without an object is StoredObjectNotFound, whoever asks."""
        for call in (lambda: target.stat("kit/missing"), lambda: read(target, "kit/missing")):
            _demand(StoredObjectNotFound, call, "reading a key without an object")

    def test_S07_deleting(self, target: StorageTarget) -> None:
        """Deleting removes, and deleting what is gone is success."""
        target.put("kit/gone", io.BytesIO(b"x"))
        target.put("kit/gone-too", io.BytesIO(b"x"))
        for _ in range(2):
            target.delete("kit/gone")
        try:
            target.stat("kit/gone")
        except StoredObjectNotFound:
            target.stat("kit/gone-too")
            target.delete("kit/gone-too")
        else:
            wrong("delete() leaves the object")

    def test_S08_keys(self, target: StorageTarget) -> None:
        """Every key that the core makes can be used, and no two of them meet."""
        for key in OBJECT_KEYS:
            target.put(key, io.BytesIO(key.encode()))
        for key in OBJECT_KEYS:
            if read(target, key) != key.encode():
                wrong(f"the key {key[:40]!r} gives another object's content")
            url = target.signed_url(key, expires_in_seconds=60).url
            if url.startswith("http") and fetch(url) != (200, key.encode()):
                wrong(f"a signed URL does not read the object of the key {key[:40]!r}")
        for key in OBJECT_KEYS:
            target.delete(key)

    def test_S09_interrupted_put(self, target: StorageTarget) -> None:
        """A put whose stream breaks off leaves no object, or the one that was there, and raises the stream's error."""
        for size in (BLOCK_BYTES, 20 * BLOCK_BYTES):
            break_off(target, "kit/broken", size)
            _demand(StoredObjectNotFound, lambda: target.stat("kit/broken"), "a put that was interrupted, then stat()")
        target.put("kit/former", io.BytesIO(b"former"))
        break_off(target, "kit/former", size)
        if not holds(target, "kit/former", b"former"):
            wrong("a put that was interrupted does not leave the object that was there before")
        target.delete("kit/former")

    def test_S10_signed_url(self, target: StorageTarget) -> None:
        """A signed URL expires when it was asked to and reads the object, in ranges too."""
        target.put("kit/signed", io.BytesIO(b"0123456789"))
        before = target.context.clock()
        signed = target.signed_url("kit/signed", expires_in_seconds=600)
        late = (target.context.clock() - before).total_seconds()
        life = (signed.expires_at - before).total_seconds()
        if not 599 <= life <= 601 + late:
            wrong(f"a URL that was to live 600 s expires after {life:.0f} s")
        if signed.url.startswith("http"):
            if fetch(signed.url) != (200, b"0123456789"):
                wrong("a signed URL does not read the object")
            if fetch(signed.url, Range="bytes=2-4") != (self.range_status, b"234"):
                wrong("a signed URL does not read a range of the object")
            brief = target.signed_url("kit/signed", expires_in_seconds=1)
            give_up_at = time.monotonic() + EXPIRY_SECONDS
            while fetch(brief.url)[0] == 200:
                if time.monotonic() > give_up_at:
                    wrong(f"a URL that was to live 1 s still reads the object after {EXPIRY_SECONDS:.0f} s")
                time.sleep(0.1)
        target.delete("kit/signed")

    def test_S11_signed_url_is_for_one(self, target: StorageTarget) -> None:
        """A signed URL holds no secret, and two objects' differ. Its bearer can read the object and do nothing else."""
        urls = [target.signed_url(key, expires_in_seconds=60).url for key in ("kit/one", "kit/two")]
        if leaked(self._secrets(target), *urls):
            wrong("a signed URL holds a secret of the configuration")
        if urls[0] == urls[1]:
            wrong("two objects have one signed URL")
        if urls[0].startswith("http"):
            target.put("kit/one", io.BytesIO(b"one"))
            for method in ("PUT", "DELETE"):
                send(method, urls[0], b"another" if method == "PUT" else None)
                if not holds(target, "kit/one", b"one"):
                    wrong(f"the bearer of a signed URL changes the object by {method}")
            target.delete("kit/one")

    # --- what goes wrong --------------------------------------------------------------------------------------------

    def test_S12_wrong_credentials(self, context: StorageContext, target: StorageTarget) -> None:
        """Credentials that are wrong are StorageDenied, in words without a secret."""
        target.put("kit/denied", io.BytesIO(b"x"))
        with closing(self.denied(context)) as denied:
            for call in _calls(denied, "kit/denied"):
                error = _demand(StorageDenied, call, "wrong credentials")
                if leaked(self._secrets(denied), error, vars(error)):
                    wrong("the error of wrong credentials repeats a secret")
        target.delete("kit/denied")

    def test_S13_no_container(self, context: StorageContext, target: StorageTarget) -> None:
        """A bucket or container that does not exist is StorageContainerNotFound; deleting from it is success."""
        with closing(self.without_container(context)) as nowhere:
            for call in _calls(nowhere, "kit/nowhere"):
                _demand(StorageContainerNotFound, call, "a bucket that does not exist")
            nowhere.delete("kit/nowhere")

    def test_S14_unreachable(self, context: StorageContext) -> None:
        """A target without a server is StorageUnavailable or StorageTimeout, within 30 s."""
        target = self.unreachable(context)
        if target is None:
            pytest.skip("the target is reached over no network")
        with closing(target):
            for call in _calls(target, "kit/unreachable"):
                started = time.monotonic()
                _demand((StorageUnavailable, StorageTimeout), call, "a target where no server listens")
                if time.monotonic() - started > LONGEST_SECONDS:
                    wrong(f"a target where no server listens takes longer than {LONGEST_SECONDS:.0f} s")

    def test_S15_guarded_host(self, target: StorageTarget, context: StorageContext) -> None:
        """A configuration that names a host which the service does not allow is refused before anything connects."""
        if self.foreign_configuration is None:
            pytest.skip("a configuration names no host (`foreign_configuration`)")
        strict = StorageContext(context.clock, EndpointGuard(("allowed.example",)))
        configuration = dict(target.configuration, **self.foreign_configuration)
        _demand(StorageEndpointRefused, lambda: type(target)(configuration, strict), "a host that is not allowed")

    # --- many at once -----------------------------------------------------------------------------------------------

    def test_S16_at_once(self, target: StorageTarget) -> None:
        """Threads put at the same time: each key has its content, and a key that all put has one of theirs, whole.

        Of several that put one key at once some may be refused, as a StorageError, but not all.
        """
        taken = []
        contents = {f"kit/at-once-{number}": bytes([number]) * BLOCK_BYTES for number in range(4)}

        def put(key: str, content: bytes) -> None:
            target.put(key, io.BytesIO(content))
            with suppress(StorageError):
                taken.append(target.put("kit/shared", io.BytesIO(content)))

        with ThreadPoolExecutor(len(contents)) as pool:
            list(pool.map(put, contents.keys(), contents.values()))
        for key, content in contents.items():
            if read(target, key) != content:
                wrong("of objects that were put at the same time, one has another's content")
            target.delete(key)
        if not taken:
            wrong("of several threads that put one key at the same time all are refused")
        if read(target, "kit/shared") not in contents.values():
            wrong("an object that several threads put at the same time is a mixture")
        target.delete("kit/shared")

    def test_S17_probe_and_close(self, target: StorageTarget) -> None:
        """The probe of a target that works succeeds; closing it twice is fine."""
        target.probe()
        other = type(target)(target.configuration, target.context)
        other.close()
        other.close()
        target.probe()

    def test_S23_nothing_stays_open(self, target: StorageTarget) -> None:
        """An instance that is closed leaves no thread and no socket, also one that threads began to use at once."""
        target.put("kit/open", io.BytesIO(b"kit"))
        leftovers = Leftovers()
        other = type(target)(target.configuration, target.context)
        together = Barrier(4)

        def use(number: int) -> None:
            together.wait()
            other.stat("kit/open")
            read(other, "kit/open")

        with ThreadPoolExecutor(together.parties) as pool:
            list(pool.map(use, range(together.parties)))
        other.close()
        leftovers.check()
        target.delete("kit/open")

    def test_S24_python_stays_as_it_is(self, target: StorageTarget) -> None:
        """It replaces no function of Python's own, which all other code of the process uses."""
        before = functions_of_python()
        with closing(type(target)(target.configuration, target.context)) as other:
            other.put("kit/python", io.BytesIO(b"kit"))
            other.delete("kit/python")
            check_functions(type(target), before)

    # ----------------------------------------------------------------------------------------------------------------

    def _load_libraries(self, target: StorageTarget) -> None:
        """Let the target do its first-use imports, whose memory does not count."""
        target.put("kit/small", io.BytesIO(b"x"))
        read(target, "kit/small")
        target.delete("kit/small")

    def _secrets(self, target: StorageTarget) -> list[str]:
        return [str(target.configuration[name]) for name in target.secret_fields if target.configuration.get(name)]


class _RealClock(SteppedClock):
    """The vendor's clock checks signed URLs."""

    def __call__(self) -> Any:
        return type(self.now).now(self.now.tzinfo)


@contextmanager
def _measured(what: str) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    if peak > MEMORY_BYTES:
        wrong(f"{what} of an object of {LARGE_BYTES >> 20} MiB takes {peak >> 20} MiB of memory")


def _calls(target: StorageTarget, key: str) -> list[Callable[[], object]]:
    return [
        lambda: target.stat(key),
        lambda: read(target, key),
        lambda: target.put(key, io.BytesIO(b"kit")),
    ]


def _demand(
    expected: type[Exception] | tuple[type[Exception], ...], call: Callable[[], object], what: str
) -> Exception:
    names = " or ".join(cls.__name__ for cls in (expected if isinstance(expected, tuple) else (expected,)))
    try:
        found: object = call()
    except expected as error:
        return error
    except Exception as error:
        wrong(f"{what}: {type(error).__name__}: {error}; {names} is expected")
    wrong(f"{what}: {_shown(found)}; {names} is expected")


def _shown(found: object) -> str:
    return f"succeeds with {found}" if isinstance(found, StoredObject) else "succeeds"
