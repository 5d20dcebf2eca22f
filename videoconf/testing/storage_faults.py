"""The scenarios of a storage server that fails: the error that the core sees, and where a target connects."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import pytest

from videoconf.errors import (
    StorageDenied,
    StorageEndpointRefused,
    StorageError,
    StorageTimeout,
    StorageUnavailable,
)
from videoconf.storage import EndpointGuard, StorageContext, StorageTarget, storage_deadline
from videoconf.testing.faulty_server import (
    ANY,
    Behaviour,
    Exchange,
    FaultyServer,
    endless,
    hang,
    reply,
    reset,
    truncated,
)
from videoconf.testing.harness import unwritten, wrong
from videoconf.testing.storage_objects import read

DEADLINE_SECONDS = 1.0
"""For a server that says nothing: shorter than any silence that a target waits for by itself."""
SLACK_SECONDS = 7.0
"""For one more attempt, and the pause before it."""
PATIENCE_SECONDS = 15.0
"""For a server that answers: what the core gives to one call, with all its attempts."""
HOST = "storage.videoconf-kit.example"
OBJECT = b"an object that breaks off"

FAULTS: Mapping[str, tuple[Behaviour, tuple[type[StorageError], ...]]] = {
    "status 400": (reply(400), (StorageError,)),
    "status 401": (reply(401), (StorageDenied,)),
    "status 403": (reply(403), (StorageDenied,)),
    "status 429": (reply(429), (StorageUnavailable,)),
    "status 500": (reply(500), (StorageUnavailable,)),
    "status 503": (reply(503), (StorageUnavailable,)),
    "an error page without an end": (endless(status=400), (StorageError,)),
    "a reset of the connection": (reset(), (StorageTimeout, StorageUnavailable)),
}


def _call_stat(target: StorageTarget) -> object:
    return target.stat("kit/fault")


def _call_open(target: StorageTarget) -> object:
    return read(target, "kit/fault")


def _call_put(target: StorageTarget) -> object:
    return target.put("kit/fault", io.BytesIO(b"kit"))


def _call_delete(target: StorageTarget) -> object:
    return target.delete("kit/fault")


CALLS: Mapping[str, Callable[[StorageTarget], object]] = {
    "stat()": _call_stat,
    "open()": _call_open,
    "put()": _call_put,
    "delete()": _call_delete,
}


class StorageFaults:
    """What a target does at a server that fails, for a target that is reached over a network."""

    def unreachable(self, context: StorageContext) -> StorageTarget | None:
        """Make a target where no server listens; None for a target that is reached over no network."""
        unwritten("unreachable(): make the target with an address where no server listens, like 127.0.0.1:1")

    def at_server(self, context: StorageContext, url: str) -> StorageTarget | None:
        """Make a target whose server has this URL, a scheme, a host and a port; None if no network is used.

        The target is made with ``context``, whose guard decides about the host.
        """
        if self.unreachable(context) is None:
            return None
        unwritten("at_server(): make the target with `context` and the URL of a server, like http://127.0.0.1:8080")

    def test_S18_failures_are_told(self, context: StorageContext) -> None:
        """Each failure of the server raises the error that stands for it, and no other exception."""
        with self._at_servers(context, {name: behaviour for name, (behaviour, _) in FAULTS.items()}) as targets:
            problems = _together(
                [
                    (f"{call} meets {name}", CALLS[call], targets[name], FAULTS[name][1])
                    for name in FAULTS
                    for call in CALLS
                ]
            )
        if problems:
            wrong("\n".join(["failures that are not told as they should be (see videoconf.errors):", *problems]))

    def test_S19_calls_end_in_time(self, context: StorageContext) -> None:
        """With a server that does not answer, every call ends at the deadline in force, as StorageTimeout."""
        errors = (StorageTimeout, StorageUnavailable)
        with self._at_servers(context, {"silence": hang()}) as targets:
            began = time.monotonic()
            problems = _together(
                [(f"{name} meets silence", call, targets["silence"], errors) for name, call in CALLS.items()],
                DEADLINE_SECONDS,
            )
            seconds = time.monotonic() - began
        if problems:
            wrong("\n".join(problems))
        if seconds > DEADLINE_SECONDS + SLACK_SECONDS:
            wrong(f"a call took {seconds:.1f} s of a deadline of {DEADLINE_SECONDS:.0f} s: use guarded_pool()")

    def test_S20_broken_body(self, context: StorageContext) -> None:
        """An object whose body breaks off is a StorageError for its reader, and not a shorter object."""
        with self._at_servers(context, {"a body that breaks off": _break_off}) as targets:
            problems = _together(
                [(f"open() meets {name}", _call_open, target, (StorageError,)) for name, target in targets.items()]
            )
        if problems:
            wrong("\n".join(problems))

    def test_S21_redirects_are_not_followed(self, context: StorageContext) -> None:
        """A redirect is a StorageError. The request, which is signed, goes to no other server."""
        with FaultyServer() as other:
            other.on(ANY, reply(200, b"kit"))
            behaviours = {
                f"a redirect of status {status}": reply(status, headers={"Location": other.url("/kit")})
                for status in (301, 302, 307, 308)
            }
            with self._at_servers(context, behaviours) as targets:
                problems = _together(
                    [
                        (f"{name} meets {kind}", call, target, (StorageError,))
                        for kind, target in targets.items()
                        for name, call in CALLS.items()
                    ]
                )
            if other.connection_count:
                wrong("a redirect is followed: the server chooses where a request goes, with its credentials")
        if problems:
            wrong("\n".join(problems))

    def test_S22_connections_are_guarded(self, context: StorageContext) -> None:
        """The address of a host is checked for each connection, not only the host's name in the configuration."""
        with FaultyServer() as server:
            server.on(ANY, reply(200))
            here = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]
            guard = EndpointGuard(
                [f"{HOST}:{server.port}", f"*.{HOST}:{server.port}"], resolve=lambda *asked, **options: here
            )
            target = self.at_server(StorageContext(context.clock, guard), f"https://{HOST}:{server.port}")
            if target is None:
                pytest.skip("the target is reached over no network")
            with closing(target):
                problems = _together(
                    [
                        (f"{name} of a name that leads to this machine", call, target, (StorageEndpointRefused,))
                        for name, call in CALLS.items()
                    ]
                )
            if server.connection_count:
                wrong("a call connects to an address that the guard refuses: connect by guarded_pool()")
        if problems:
            wrong("\n".join([*problems, "connect by guarded_pool(): it asks the guard for the addresses"]))

    @contextmanager
    def _at_servers(
        self, context: StorageContext, behaviours: Mapping[str, Behaviour]
    ) -> Iterator[dict[str, StorageTarget]]:
        """Give a target for each behaviour, at a server of its own."""
        servers = {name: FaultyServer() for name in behaviours}
        targets: dict[str, StorageTarget] = {}
        try:
            for name, server in servers.items():
                server.__enter__().on(ANY, behaviours[name])
                target = self.at_server(context, server.url(""))
                if target is None:
                    pytest.skip("the target is reached over no network")
                targets[name] = target
            yield targets
        finally:
            for target in targets.values():
                target.close()
            for server in servers.values():
                server.close()


Attempt = tuple[str, Callable[[StorageTarget], object], StorageTarget, tuple[type[StorageError], ...]]


def _together(attempts: Sequence[Attempt], seconds: float = PATIENCE_SECONDS) -> list[str]:
    """Make calls at the same time, since targets pause before they repeat one; return what is wrong with the errors."""
    with ThreadPoolExecutor(len(attempts)) as pool:
        return [problem for problem in pool.map(partial(_try, seconds), attempts) if problem]


def _try(seconds: float, attempt: Attempt) -> str | None:
    name, call, target, expected = attempt
    names = " or ".join(cls.__name__ for cls in expected)
    try:
        with storage_deadline(seconds):
            call(target)
    except expected:
        return None
    except Exception as error:
        return f"  {name}: {type(error).__name__}: {error}; {names} is expected"
    return f"  {name}: it succeeds; {names} is expected"


def _break_off(exchange: Exchange) -> bool:
    """Answer a request for an object, whole or a range of it, with less than the answer declares."""
    last = len(OBJECT) - 1
    headers: dict[str, Any] = {"Content-Range": f"bytes 0-{last}/{len(OBJECT)}", "ETag": '"kit"'}
    is_range = any(name.endswith("range") for name in exchange.request.headers)
    return truncated(OBJECT[:10], missing=len(OBJECT) - 10, status=206 if is_range else 200, headers=headers)(exchange)
