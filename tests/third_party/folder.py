"""A storage target that is a folder of this machine: honest, and lying in one way for each scenario of the kit."""

import hashlib
import hmac
import io
import json
import secrets
import shutil
import socket
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from marshmallow import INCLUDE, RAISE, Schema, fields

from videoconf.errors import StorageContainerNotFound, StorageDenied, StorageUnavailable, StoredObjectNotFound
from videoconf.storage import SignedUrl, StorageTarget, StoredObject
from videoconf.testing import FaultyServer, StorageConformance
from videoconf.testing.faulty_server import reply

PASSWORD = "kit-folder-password"


class FolderConfiguration(Schema):
    class Meta:
        unknown = RAISE

    path = fields.String(required=True)
    password = fields.String(required=True)
    host = fields.String()


class FolderTarget(StorageTarget):
    """Objects are files; the password is the one in the folder's file ``password``."""

    key = "folder"
    wire_name = "FOLDER"
    label = "A folder"
    configuration_schema = FolderConfiguration
    secret_fields = frozenset({"password"})

    def __init__(self, configuration, context):
        super().__init__(configuration, context)
        if host := configuration.get("host"):
            context.endpoints.check_host(host, 443)

    def enter(self):
        root = Path(self.configuration["path"])
        if self.configuration["password"] == "unreachable":
            raise StorageUnavailable
        if not root.is_dir():
            raise StorageContainerNotFound
        if (root / "password").read_text() != self.configuration["password"]:
            raise StorageDenied
        return root

    def file(self, key):
        return self.enter() / hashlib.sha256(key.encode()).hexdigest()

    def existing(self, key):
        if not (path := self.file(key)).is_file():
            raise StoredObjectNotFound
        return path

    def put(self, key, stream, *, content_type=None):
        path = self.file(key)
        part = path.with_suffix(f".{secrets.token_hex(8)}")
        try:
            with part.open("wb") as file:
                shutil.copyfileobj(stream, file, 1 << 20)
            path.with_suffix(".type").write_text(content_type or "")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        return self.stat(key)

    def open(self, key):
        return self.existing(key).open("rb")

    def stat(self, key):
        found = self.existing(key)
        modified_at = datetime.fromtimestamp(found.stat().st_mtime, UTC)
        return StoredObject(key, found.stat().st_size, found.with_suffix(".type").read_text(), modified_at)

    def delete(self, key):
        try:
            self.file(key).unlink(missing_ok=True)
        except StorageContainerNotFound:
            return

    def signed_url(self, key, *, expires_in_seconds):
        expires_at = self.context.clock() + timedelta(seconds=expires_in_seconds)
        text = f"{key}?{expires_at.timestamp():.0f}"
        signature = hmac.new(self.configuration["password"].encode(), text.encode(), "sha256").hexdigest()
        return SignedUrl(f"folder://objects/{text}&{signature}", expires_at)


class FolderKit(StorageConformance):
    cls = FolderTarget
    foreign_configuration = {"host": "storage.attacker.example"}  # noqa: RUF012  # only read

    @pytest.fixture
    def target(self, context, tmp_path):
        (tmp_path / "password").write_text(PASSWORD)
        self.path = tmp_path
        target = self.cls({"path": str(tmp_path), "password": PASSWORD}, context)
        yield target
        target.close()

    def denied(self, context):
        return self.cls({"path": str(self.path), "password": "kit-wrong-password"}, context)

    def without_container(self, context):
        return self.cls({"path": "/nowhere/at/all", "password": PASSWORD}, context)

    def unreachable(self, context):
        return self.cls({"path": "/", "password": "unreachable"}, context)

    def at_server(self, context, url):
        return None


LIARS = {}


def liar(scenario):
    def register(cls):
        name = f"{scenario}-{cls.__name__}" if scenario in LIARS else scenario  # some lie in a second way
        LIARS[name] = type(f"Kit{scenario}", (FolderKit,), {"cls": cls})
        return cls

    return register


@liar("S01")
class TakesAnyField(FolderTarget):
    class configuration_schema(FolderConfiguration):
        class Meta:
            unknown = INCLUDE


@liar("S02")
class ShowsItsPassword(FolderTarget):
    def __repr__(self):
        return f"Folder({self.configuration})"


@liar("S03")
class ForgetsTheType(FolderTarget):
    def stat(self, key):
        found = super().stat(key)
        return StoredObject(found.key, found.size_bytes, None, found.modified_at)


@liar("S04")
class ReadsAllAtOnce(FolderTarget):
    def put(self, key, stream, *, content_type=None):
        return super().put(key, io.BytesIO(stream.read()), content_type=content_type)


@liar("S04")
class OpensAllAtOnce(FolderTarget):
    def open(self, key):
        return io.BytesIO(self.existing(key).read_bytes())


@liar("S05")
class KeepsTheFirst(FolderTarget):
    def put(self, key, stream, *, content_type=None):
        if key == "kit/twice" and self.file(key).exists():
            return self.stat(key)
        return super().put(key, stream, content_type=content_type)


@liar("S06")
class FindsTheMissing(FolderTarget):
    def open(self, key):
        try:
            return super().open(key)
        except StoredObjectNotFound:
            return io.BytesIO(b"")


@liar("S07")
class DeletesOnce(FolderTarget):
    def delete(self, key):
        if self.enter_or_none() is not None:
            self.existing(key)
        super().delete(key)

    def enter_or_none(self):
        try:
            return self.enter()
        except StorageContainerNotFound:
            return None


@liar("S08")
class HasFlatKeys(FolderTarget):
    def file(self, key):
        return super().file(key[:64])


@liar("S08")
class IgnoresCase(FolderTarget):
    def file(self, key):
        return super().file(key.lower())


@liar("S09")
class KeepsHalves(FolderTarget):
    def put(self, key, stream, *, content_type=None):
        if key != "kit/broken":
            return super().put(key, stream, content_type=content_type)
        content = io.BytesIO()
        try:
            shutil.copyfileobj(stream, content, 1 << 20)
        except ConnectionAbortedError:
            super().put(key, io.BytesIO(content.getvalue()), content_type=content_type)
            raise
        content.seek(0)
        return super().put(key, content, content_type=content_type)


@liar("S09")
class TellsAnotherError(FolderTarget):
    def put(self, key, stream, *, content_type=None):
        try:
            return super().put(key, stream, content_type=content_type)
        except ConnectionAbortedError:
            raise StorageUnavailable from None


@liar("S09")
class RemovesTheFormer(FolderTarget):
    def put(self, key, stream, *, content_type=None):
        try:
            return super().put(key, stream, content_type=content_type)
        except ConnectionAbortedError:
            self.delete(key)
            raise


@liar("S10")
class SignsForEver(FolderTarget):
    def signed_url(self, key, *, expires_in_seconds):
        return super().signed_url(key, expires_in_seconds=10**8)


class ServedTarget(FolderTarget):
    """Its URLs are read by HTTP, in ranges too."""

    server = None

    def signed_url(self, key, *, expires_in_seconds):
        signed = super().signed_url(key, expires_in_seconds=expires_in_seconds)
        if self.server is None:
            self.server = FaultyServer().__enter__()
            self.server.on("*", self.answer)
        return SignedUrl(self.server.url(f"/{key}?{signed.url.partition('?')[2]}"), signed.expires_at)

    def answer(self, exchange):
        content = self.existing(exchange.request.path[1:]).read_bytes()
        if "range" in exchange.request.headers:
            return reply(206, content[2:5])(exchange)
        return reply(200, content)(exchange)

    def close(self):
        if self.server is not None:
            self.server.close()
            self.server = None


@liar("S10")
class SaysThatItExpires(ServedTarget):
    """Its URLs go on being read."""


@liar("S11")
class LetsBearersDelete(ServedTarget):
    """Its URLs expire, and are good for every method until then."""

    def answer(self, exchange):
        expires_at = float(exchange.request.query.partition("&")[0])
        if self.context.clock().timestamp() >= expires_at:
            return reply(403)(exchange)
        if exchange.request.method == "DELETE":
            self.delete(exchange.request.path[1:])
            return reply(204)(exchange)
        return super().answer(exchange)


@liar("S11")
class SignsInClear(FolderTarget):
    def signed_url(self, key, *, expires_in_seconds):
        signed = super().signed_url(key, expires_in_seconds=expires_in_seconds)
        return SignedUrl(f"{signed.url}&password={self.configuration['password']}", signed.expires_at)


@liar("S12")
class CallsAWrongPasswordAbsence(FolderTarget):
    def enter(self):
        try:
            return super().enter()
        except StorageDenied:
            raise StorageUnavailable from None


@liar("S13")
class CallsAbsenceAWrongPassword(FolderTarget):
    def enter(self):
        try:
            return super().enter()
        except StorageContainerNotFound:
            raise StorageDenied from None

    def delete(self, key):
        try:
            super().delete(key)
        except StorageDenied:
            return


@liar("S13")
class MissesTheObjectFirst(FolderTarget):
    def stat(self, key):
        try:
            return super().stat(key)
        except StorageContainerNotFound:
            raise StoredObjectNotFound from None


@liar("S14")
class RaisesWhatItGets(FolderTarget):
    def enter(self):
        try:
            return super().enter()
        except StorageUnavailable:
            raise ConnectionRefusedError from None


@liar("S15")
class GoesAnywhere(FolderTarget):
    def __init__(self, configuration, context):
        super().__init__({name: value for name, value in configuration.items() if name != "host"}, context)


@liar("S16")
class MixesUp(FolderTarget):
    """All writers of one key write into one file."""

    together = threading.Barrier(4)

    def put(self, key, stream, *, content_type=None):
        if key != "kit/shared":
            return super().put(key, stream, content_type=content_type)
        content = stream.read()
        half = len(content) // 2
        self.together.wait(20)
        with self.file(key).open("r+b" if self.file(key).exists() else "w+b") as file:
            file.write(content[:half])
        self.together.wait(20)
        if content[:1] == b"\x00":
            with self.file(key).open("r+b") as file:
                file.write(b"\x00" * half + b"\x01" * half)
        self.together.wait(20)
        self.file(key).with_suffix(".type").write_text("")
        return StoredObject(key, len(content), None, None)


@liar("S16")
class RefusesAll(FolderTarget):
    def put(self, key, stream, *, content_type=None):
        if key == "kit/shared":
            raise StorageUnavailable
        return super().put(key, stream, content_type=content_type)


@liar("S17")
class ClosesOnce(FolderTarget):
    closed = False

    def close(self):
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True


@liar("S23")
class ConnectsTwice(FolderTarget):
    """Two threads that begin to use it at once each connect; it closes the later connection."""

    forgotten = []  # noqa: RUF012  # so that none is closed by the collector

    def __init__(self, configuration, context):
        super().__init__(configuration, context)
        self.connection = None
        self.together = threading.Barrier(2)

    def stat(self, key):
        if self.connection is None:
            with suppress(threading.BrokenBarrierError):
                self.together.wait(0.2)
            self.connection = socket.socket()
            self.forgotten.append(self.connection)
        return super().stat(key)

    def close(self):
        if self.connection is not None:
            self.connection.close()


@liar("S23")
class LeavesAThread(FolderTarget):
    def open(self, key):
        threading.Thread(target=threading.Event().wait, args=(8,), name="left-behind", daemon=True).start()
        return super().open(key)


@liar("S24")
class ImprovesJson(FolderTarget):
    original = staticmethod(json.loads)

    def put(self, key, stream, *, content_type=None):
        json.loads = lambda *args, **how: self.original(*args, **how)
        return super().put(key, stream, content_type=content_type)

    def close(self):
        json.loads = self.original
