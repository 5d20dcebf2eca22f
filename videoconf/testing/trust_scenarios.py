"""The scenarios of what a provider must not do: give more than was asked for, and leave traces in the process."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from videoconf.providers import Provider, Role
from videoconf.pytest_plugin import at_start, functions_of_python
from videoconf.testing.driven import Driven
from videoconf.testing.harness import Harness, wrong
from videoconf.testing.operations import issue, operations, session_request

RANKS = {Role.SUBSCRIBER: 0, Role.PUBLISHER: 1, Role.MODERATOR: 2}
LEEWAY = timedelta(minutes=5)
"""Vendors allow clocks to differ."""
LONG_AFTER = timedelta(days=11)
SETTLE_SECONDS = 3.0
"""How long what was used may take to go."""
DESCRIPTORS = Path("/proc/self/fd")


class TrustScenarios(Driven):
    """What a service cannot check by itself, because only the vendor or the process shows it."""

    def test_P25_role_is_not_widened(self, provider: Provider) -> None:
        """A credential gives the role that was asked for, or a lesser one."""
        roles = provider.capabilities.roles
        if len(roles) == 1:
            pytest.skip("the provider declares one role")
        session = provider.ensure_session(session_request())
        for role in roles:
            join = issue(provider, session, f"kit-{role}", role=role)
            if not (join.token or join.connect.get("url")):
                continue  # P10 reports that the role lets no participant in
            given = self.role_of(provider, session, join)
            if RANKS[given] > RANKS[role]:
                wrong(f"a credential for the role {role} makes its bearer a {given}")

    def test_P26_credential_ends(self, provider: Provider) -> None:
        """A credential, a URL too, lets a person in until it expires, and then no more."""
        session = provider.ensure_session(session_request())
        join = issue(provider, session)
        if not self.is_admitted(provider, session, join, provider.context.clock()):
            wrong("a credential that has just been issued lets its bearer not in")
        for after in (LEEWAY, LONG_AFTER):
            if self.is_admitted(provider, session, join, join.expires_at + after):
                wrong(f"a credential still lets its bearer in {after} after JoinToken.expires_at")

    def test_P27_nothing_stays_open(self, provider: Provider, harness: Harness) -> None:
        """An instance that is closed leaves no thread and no socket."""
        _use(provider, self)  # connections of the context's clients, and of the stand-in, stay for both
        threads, sockets = set(threading.enumerate()), _count_sockets()
        other = type(provider).create(provider.settings, harness.context)
        _use(other, self)
        other.close()
        del other
        if left := _left(lambda: [one.name for one in threading.enumerate() if one not in threads]):
            wrong(f"after close(), threads of the provider still run: {', '.join(left)}")
        if more := _left(lambda: max(0, _count_sockets() - sockets)):
            wrong(f"after close(), {more} sockets of the provider are still open")

    def test_P28_python_stays_as_it_is(self, provider: Provider, harness: Harness) -> None:
        """It replaces no function of Python's own, which all other code of the process uses."""
        package = type(provider).__module__.partition(".")[0]
        before = functions_of_python()
        other = type(provider).create(provider.settings, harness.context)
        _use(other, self)
        found = [name for name, function in functions_of_python().items() if before.get(name) is not function]
        found += [
            name
            for name, function in before.items()
            if name in at_start and at_start[name] is not function and _package_of(function) == package
        ]
        other.close()
        if found:
            wrong(f"it replaces {', '.join(sorted(found))}, for all code of the process")


def _use(provider: Provider, kit: Driven) -> None:
    """Make every call, and read every webhook. What comes of it is for other scenarios."""
    with suppress(Exception, NotImplementedError):
        session = provider.ensure_session(session_request())
        for operation in operations(provider, session, kit.storage):
            with suppress(Exception):
                operation.call()
    for sample in kit.samples:
        with suppress(Exception):
            request = kit.sign(provider, sample.request(provider.key))
            provider.verify_webhook(request)
            provider.parse_webhook(request)


def _left(count: Callable[[], Any]) -> Any:
    """Return what a count still finds once things had time to go."""
    give_up_at = time.monotonic() + SETTLE_SECONDS
    while (found := count()) and time.monotonic() < give_up_at:
        gc.collect()
        time.sleep(0.05)
    return found


def _count_sockets() -> int:
    """Count the open sockets of this process; 0 where the system does not say."""
    count = 0
    if sys.platform == "linux":
        for descriptor in DESCRIPTORS.iterdir():
            with suppress(OSError):
                count += os.readlink(descriptor).startswith("socket:")
    return count


def _package_of(function: Any) -> str | None:
    return (getattr(function, "__module__", None) or "").partition(".")[0] or None
