"""The scenarios of failures: each call, each thing that can go wrong, and which error the core has to see."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pytest

from videoconf.errors import (
    ProviderAuthFailed,
    ProviderBadResponse,
    ProviderConflict,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderResourceNotFound,
    ProviderTimeout,
    ProviderUnavailable,
)
from videoconf.providers import Provider, provider_deadline
from videoconf.testing.driven import Driven
from videoconf.testing.faulty_server import Behaviour, hang, reply, reset
from videoconf.testing.harness import Harness, echo, leaked, logged, secrets_of, wrong
from videoconf.testing.operations import MEETING, Operation, issue, operations, session_request

DEADLINE_SECONDS = 1.0
"""Short enough that nothing is repeated, long enough for one request over the loopback."""
HANG_SECONDS = 0.2
SLACK_SECONDS = 1.5


@dataclass(frozen=True)
class Failure:
    """Something that goes wrong at the vendor."""

    name: str
    behaviour: Behaviour | None
    """None: no server listens."""
    errors: tuple[type[ProviderError], ...]
    """What the core may see of it."""
    forgiven: bool = False
    """An operation that forgives may take it for success."""


RETRY_AFTER_SECONDS = 7
REFUSALS = (ProviderResourceNotFound, ProviderConflict, ProviderRejected, ProviderAuthFailed)
FAILURES = (
    Failure("401", reply(401), (ProviderAuthFailed,)),
    Failure("404", reply(404), REFUSALS, forgiven=True),
    Failure("409", reply(409), REFUSALS, forgiven=True),
    Failure("422", reply(422), REFUSALS, forgiven=True),
    Failure("429", reply(429, headers={"Retry-After": str(RETRY_AFTER_SECONDS)}), (ProviderRateLimited,)),
    Failure("500", reply(500), (ProviderError,)),
    Failure("503", reply(503), (ProviderUnavailable,)),
    Failure("no JSON", reply(200, b"<html>"), (ProviderBadResponse,)),
    Failure("JSON of another shape", reply(200, b"[17]"), (ProviderBadResponse,)),
    Failure("reset", reset(), (ProviderTimeout, ProviderUnavailable)),
    Failure("no server listens", None, (ProviderUnavailable,)),
)


class FailureScenarios(Driven):
    """Each call with each failure. A call that makes no request has no failures to tell."""

    def test_P20_failures_are_told(self, provider: Provider, harness: Harness) -> None:
        """Each failure of the vendor raises the error that stands for it, and no other exception."""
        problems = [
            problem
            for operation in operations(provider, provider.ensure_session(session_request()), self.storage)
            for failure in FAILURES
            if (problem := _try(harness, operation, failure))
        ]
        if problems:
            wrong(
                "\n".join(
                    ["failures that are not told as they should be (videoconf.errors says what each means):", *problems]
                )
            )

    def test_P21_calls_end_in_time(self, provider: Provider, harness: Harness) -> None:
        """With a vendor that does not answer, every call ends at the deadline in force."""
        for operation in operations(provider, provider.ensure_session(session_request()), self.storage):
            before, started = harness.fault_count, time.monotonic()
            error: BaseException | None = None
            with harness.failing(hang()), provider_deadline(HANG_SECONDS):
                try:
                    operation.call()
                except Exception as raised:
                    error = raised
            seconds = time.monotonic() - started
            if harness.fault_count > before and not isinstance(error, ProviderError):
                wrong(f"{operation.name}: the vendor did not answer, and the outcome is {error!r}, not ProviderTimeout")
            if seconds > HANG_SECONDS + SLACK_SECONDS:
                wrong(f"{operation.name} took {seconds:.1f} s of a deadline of {HANG_SECONDS} s")

    def test_P22_calls_are_guarded(self, provider: Provider, harness: Harness) -> None:
        """Every connection is made by the client of the context, where time, size and number are bounded."""
        session = provider.ensure_session(session_request())
        for operation in operations(provider, session, self.storage):
            with harness.strangers() as addresses:
                _outcome(operation)
            if addresses:
                wrong(f"{operation.name} connects to {addresses[0]} past context.http(account): use that client")

    def test_P23_create_is_sent_once(self, provider: Provider, harness: Harness) -> None:
        """A create that would make a second room is not repeated when its outcome is unknown."""
        if provider.capabilities.idempotent_create:
            pytest.skip("the provider declares `idempotent_create`")
        before = harness.fault_count
        with harness.failing(reset()), provider_deadline(), pytest.raises(ProviderError):
            provider.ensure_session(session_request(f"{MEETING}-once"))
        if (sent := harness.fault_count - before) > 1:
            wrong(f"a create whose outcome is unknown was sent {sent} times: pass idempotent=False")

    def test_P24_secrets_stay_inside(self, provider: Provider, harness: Harness) -> None:
        """No secret is in a repr, an error or a log line, even where the vendor repeats what it was sent."""
        secrets = secrets_of(provider.settings)
        session = provider.ensure_session(session_request())
        join = issue(provider, session)
        if leaked(secrets, repr(provider), repr(provider.settings)):
            wrong("a secret is in the repr of the provider or of its settings: declare the setting as Secret")
        if leaked(secrets, join):
            wrong("a secret is in what a caller gets with a token")
        for operation in operations(provider, session, self.storage):
            with logged() as lines:
                errors = [_outcome(operation)]
                with harness.failing(echo), provider_deadline(DEADLINE_SECONDS):
                    errors.append(_outcome(operation))
            said = [text for error in errors if error for text in (str(error), repr(error), vars(error))]
            if leaked(secrets, *said):
                wrong(f"the error of {operation.name} repeats a secret")
            if leaked(secrets, *lines):
                wrong(f"{operation.name} writes a secret to the log")


def _try(harness: Harness, operation: Operation, failure: Failure) -> str | None:
    """Make one call meet one failure; return what is wrong with the error."""
    before, calls = harness.fault_count, harness.call_count
    meeting: AbstractContextManager[None] = (
        harness.refusing() if failure.behaviour is None else harness.failing(failure.behaviour)
    )
    with meeting, provider_deadline(DEADLINE_SECONDS):
        error = _outcome(operation)
    met = harness.call_count > calls if failure.behaviour is None else harness.fault_count > before
    if not met and (error is None or isinstance(error, ProviderError)):
        return None
    expected = " or ".join(cls.__name__ for cls in failure.errors)
    if error is None:
        ignorable = failure.errors == (ProviderBadResponse,) and not operation.reads
        if ignorable or (failure.forgiven and operation.forgives):
            return None
        return f"  {operation.name} meets {failure.name}: it succeeds; {expected} is expected"
    if not isinstance(error, failure.errors):
        return f"  {operation.name} meets {failure.name}: {type(error).__name__}; {expected} is expected"
    if isinstance(error, ProviderRateLimited) and error.retry_after_seconds != RETRY_AFTER_SECONDS:
        told = f"retry_after_seconds is {error.retry_after_seconds}; the vendor's Retry-After is {RETRY_AFTER_SECONDS}"
        return f"  {operation.name} meets {failure.name}: {told}"
    return None


def _outcome(operation: Operation) -> Exception | None:
    try:
        operation.call()
    except Exception as error:
        return error
    return None
