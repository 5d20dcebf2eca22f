"""The scenarios of what a provider must not do: give more than was asked for, and leave traces in the process."""

from __future__ import annotations

from contextlib import closing, suppress
from datetime import timedelta

import pytest

from videoconf.providers import Provider, Role
from videoconf.pytest_plugin import functions_of_python
from videoconf.testing.driven import Driven
from videoconf.testing.harness import Harness, wrong
from videoconf.testing.leftovers import Leftovers, check_functions
from videoconf.testing.operations import issue, operations, session_request

RANKS = {Role.SUBSCRIBER: 0, Role.PUBLISHER: 1, Role.MODERATOR: 2}
LEEWAY = timedelta(minutes=5)
"""Vendors allow clocks to differ."""
LONG_AFTER = timedelta(days=11)


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
        leftovers = Leftovers()
        other = type(provider).create(provider.settings, harness.context)
        _use(other, self)
        other.close()
        del other
        leftovers.check()

    def test_P28_python_stays_as_it_is(self, provider: Provider, harness: Harness) -> None:
        """It replaces no function of Python's own, which all other code of the process uses."""
        before = functions_of_python()
        other = type(provider).create(provider.settings, harness.context)
        with closing(other):
            _use(other, self)
            check_functions(type(provider), before)


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
