"""A folder behind an HTTP server that decides who may use it; and targets that misuse HTTP, each in one way."""

import io
import socket
import time
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import urllib3

from tests.third_party.folder import PASSWORD, FolderKit, FolderTarget
from videoconf.errors import (
    StorageDenied,
    StorageEndpointRefused,
    StorageError,
    StorageTimeout,
    StorageUnavailable,
)
from videoconf.storage import RemoteBody, guarded_pool

SILENCE_SECONDS = 6


@contextmanager
def mapped():
    try:
        yield
    except urllib3.exceptions.HTTPError:
        raise StorageUnavailable from None


class RemoteTarget(FolderTarget):
    """Asks the server of ``url`` before it uses the folder."""

    def __init__(self, configuration, context):
        super().__init__(configuration, context)
        if url := configuration.get("url"):
            context.endpoints.check_url(url)

    def enter(self):
        if url := self.configuration.get("url"):
            self.judge(self.ask(url))
        return super().enter()

    def ask(self, url, **how):
        parts = urlsplit(url)
        kind = urllib3.HTTPSConnectionPool if parts.scheme == "https" else urllib3.HTTPConnectionPool
        pool = guarded_pool(kind, self.context.endpoints)(
            parts.hostname, parts.port, retries=False, timeout=SILENCE_SECONDS
        )
        with mapped():
            return pool.request("GET", "/", redirect=False, **how)

    def judge(self, answer):
        if answer.status in (401, 403):
            raise StorageDenied
        if answer.status == 429 or answer.status >= 500:
            raise StorageUnavailable
        if answer.status >= 300:
            raise StorageError

    def open(self, key):
        if url := self.configuration.get("url"):
            answer = self.ask(url, preload_content=False)
            self.judge(answer)
            return io.BufferedReader(RemoteBody(answer, mapped))
        return super().open(key)


class RemoteKit(FolderKit):
    """The kit of a folder, with calls that go to a server."""

    cls = RemoteTarget

    def at_server(self, context, url):
        return self.cls({"path": "/nowhere/at/all", "password": PASSWORD, "url": url}, context)


LIARS = {}


def liar(scenario):
    def register(cls):
        name = f"{scenario}-{cls.__name__}" if scenario in LIARS else scenario  # some lie in a second way
        LIARS[name] = type(f"Kit{scenario}", (RemoteKit,), {"cls": cls})
        return cls

    return register


@liar("S18")
class CallsRefusalAnOutage(RemoteTarget):
    def judge(self, answer):
        if answer.status == 403:
            raise StorageUnavailable
        super().judge(answer)


@liar("S18")
class PassesOnAnOutage(RemoteTarget):
    def ask(self, url, **how):
        try:
            return super().ask(url, **how)
        except StorageUnavailable:
            raise ConnectionResetError from None


@liar("S18")
class TakesAnOutageForADeletion(RemoteTarget):
    def delete(self, key):
        try:
            super().delete(key)
        except StorageUnavailable:
            return


@liar("S19")
class WaitsOnAndOn(RemoteTarget):
    def ask(self, url, **how):
        try:
            return super().ask(url, **how)
        except StorageTimeout:
            time.sleep(3)
            raise


@liar("S20")
class TakesAPartForTheWhole(RemoteTarget):
    def open(self, key):
        if "url" not in self.configuration:
            return super().open(key)
        content = io.BytesIO()
        with super().open(key) as stream, suppress(StorageUnavailable):
            while byte := stream.read(1):
                content.write(byte)
        content.seek(0)
        return content


@liar("S21")
class GoesWhereItIsSent(RemoteTarget):
    def ask(self, url, **how):
        answer = super().ask(url, **how)
        if location := answer.headers.get("Location"):
            super().ask(location)
        return answer


@liar("S22")
class ConnectsFirst(RemoteTarget):
    """Connects to the address that DNS has for the host, and asks the guard afterwards."""

    def ask(self, url, **how):
        if (port := urlsplit(url).port) and urlsplit(url).scheme == "https":
            socket.create_connection(("127.0.0.1", port)).close()
        return super().ask(url, **how)


@liar("S22")
class CallsARefusedAddressAnOutage(RemoteTarget):
    def ask(self, url, **how):
        try:
            return super().ask(url, **how)
        except StorageEndpointRefused:
            raise StorageUnavailable from None
