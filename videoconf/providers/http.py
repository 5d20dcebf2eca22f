"""The one HTTP client of all providers: bounded in time, size and number, its errors mapped in one place."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException
from threading import BoundedSemaphore, Lock
from typing import BinaryIO
from urllib.parse import parse_qsl

from urllib3 import BaseHTTPResponse, HTTPHeaderDict
from urllib3.exceptions import HTTPError

from videoconf import __version__
from videoconf.breaker import Breaker, BreakerState, Verdict
from videoconf.errors import (
    ProviderBadResponse,
    ProviderBusy,
    ProviderError,
    ProviderPluginError,
    ProviderUnavailable,
)
from videoconf.forward_proxy import ForwardProxy
from videoconf.providers.connection import Connections
from videoconf.providers.deadline import seconds_left
from videoconf.providers.download import open_download
from videoconf.providers.failures import (
    RETRY_AFTER_SECONDS,
    error_of_exchange,
    error_of_status,
    find_retry_after,
    is_repeatable,
    judge,
)
from videoconf.providers.messages import Answer, ErrorReader, Request, build_request
from videoconf.shares import Share, own_share
from videoconf.storage import EndpointGuard

logger = logging.getLogger(__name__)

MOST_ATTEMPTS = 3
SLOT_WAIT_SECONDS = 0.25
PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0
RETRY_TOKENS = 10.0
RETRY_TOKENS_PER_SUCCESS = 0.1
CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class CallOutcome:
    """How one call ended, for metrics and traces."""

    provider: str
    operation: str
    method: str
    host: str
    status: int | None
    """The status of the latest answer; None without an answer."""
    outcome: str
    """``ok``, or the code of the error that was raised."""
    attempts: int
    """Requests that were tried; 0 where the breaker or a missing slot stopped the call."""
    seconds: float


@dataclass(frozen=True)
class ClientState:
    """Whether calls go through, for people."""

    breaker: BreakerState
    since: datetime
    """Since when ``breaker`` lasts, in UTC."""
    last_error_code: str | None
    """Code of the error that the latest attempt ended with; None where it succeeded."""


@dataclass
class _Call:
    attempts: int = 0
    status: int | None = None
    reason: str | None = None
    asked_to_wait_seconds: float | None = None
    """``Retry-After`` of the latest answer."""


class GuardedClient:
    """The HTTP client for one account at one provider. Thread-safe; keeps connections alive.

    Guaranteed, whatever the peer does: a call ends at the deadline of :mod:`videoconf.providers.deadline` (and each of
    its attempts after ``attempt_seconds``), to some tenths of a second; at most ``answer_cap_bytes`` are read into
    memory, counted after decompression; redirects are not followed; proxies of the environment and ``.netrc`` are not
    read; certificates are verified. What is not idempotent reaches the provider once at most. Every error is one of
    :mod:`videoconf.errors`, and neither it nor a log line holds a query, a header or a body. A path is not logged
    either, but may be by others on the way: secrets belong into headers or bodies.

    :param provider: key of the provider, for logs and metrics.
    :param account: the public name of the credentials, for logs.
    :param slots: how many calls may be under way at once, waits between their attempts included.
    :param clock: monotonic seconds; for the breaker only.
    :param observer: called after every call, in its thread; must not raise.
    :param connect_seconds: for name, connection and TLS handshake together.
    :param between_bytes_seconds: longest silence of the peer.
    :param attempt_seconds: for one whole attempt.
    :param downloads: decides on each host of :meth:`open`; None: any host, by plain HTTP too.
    :param proxy: the operator's forward proxy, which carries all connections but those that it names.
    """

    def __init__(
        self,
        *,
        provider: str,
        account: str,
        slots: int = 24,
        clock: Callable[[], float] = time.monotonic,
        observer: Callable[[CallOutcome], None] | None = None,
        connect_seconds: float = 2.0,
        between_bytes_seconds: float = 5.0,
        attempt_seconds: float = 6.0,
        answer_cap_bytes: int = 1 << 20,
        downloads: EndpointGuard | None = None,
        proxy: ForwardProxy | None = None,
    ) -> None:
        self._provider = provider
        self._account = account
        self._observer = observer
        self._connect_seconds = connect_seconds
        self._attempt_seconds = attempt_seconds
        self._answer_cap_bytes = answer_cap_bytes
        self._slots = BoundedSemaphore(slots)
        self._share = Share(max(1, slots - max(1, slots // 4)))  # of one tenant
        self._breaker = Breaker(clock)
        self._retries = _RetryBudget()
        self._last_error_code: str | None = None
        self._connections = Connections(
            size=slots, connect_seconds=connect_seconds, between_bytes_seconds=between_bytes_seconds, proxy=proxy
        )
        self._downloads = Connections(
            size=0,
            connect_seconds=connect_seconds,
            between_bytes_seconds=between_bytes_seconds,
            guard=downloads,
            proxy=proxy,
        )

    @property
    def state(self) -> ClientState:
        """Whether calls go through at present."""
        breaker, since = self._breaker.read()
        return ClientState(breaker, since, self._last_error_code)

    def close(self) -> None:
        """Close idle connections. May be called twice; calls that are under way end undisturbed."""
        self._connections.close()
        self._downloads.close()

    def request(
        self,
        method: str,
        url: str,
        *,
        operation: str,
        idempotent: bool,
        headers: Mapping[str, str] | Callable[[], Mapping[str, str]] | None = None,
        json: object = None,
        form: Mapping[str, str] | None = None,
        accept: Container[int] = (),
        read_error: ErrorReader | None = None,
        answer_cap_bytes: int | None = None,
    ) -> Answer:
        """Make one call, repeated at most twice where that is safe, and return its whole answer.

        :param url: absolute, ``http`` or ``https``; what goes into its path is quoted by the caller.
        :param operation: short name for logs and metrics, like ``archive.start``.
        :param idempotent: the provider may get this request more than once.
        :param headers: a callable is called for each attempt, so that a short-lived token is always fresh;
            what it raises passes through.
        :param json: body, sent as ``application/json``.
        :param form: body, sent as ``application/x-www-form-urlencoded``; at most one of the two.
        :param accept: statuses ≥ 400 that are returned rather than raised.
        :param read_error: for vendors whose statuses or error bodies differ from the usual ones. Called with each
            answer that ``accept`` does not name, a 2xx answer too; where it returns a :class:`VendorError`, that error
            is raised, retried and counted. For None the usual rules hold. What it raises passes through.
        :param answer_cap_bytes: for this call in place of the client's, for lists that grow with a room and that the
            vendor does not page.
        :raises ProviderError: see the table in :mod:`videoconf.providers.failures`.
        """
        cap = self._answer_cap_bytes if answer_cap_bytes is None else answer_cap_bytes
        request = build_request(method, url, headers, json, form, accept, read_error, cap)
        with self._recorded(request, operation) as call:
            self._breaker.check()
            with self._slot():
                deadline = time.monotonic() + seconds_left()
                while True:
                    try:
                        return self._attempt(request, call, deadline)
                    except ProviderError as error:
                        pause = self._find_pause(error, call, idempotent, deadline)
                        if pause is None:
                            raise
                    time.sleep(pause)

    def open(self, url: str) -> BinaryIO:
        """Open something large that is not part of the API, an archive say: see :func:`open_download`.

        Neither a slot nor the breaker is concerned: it is another host, and may take hours.
        """
        return open_download(self._downloads, url, time.monotonic() + seconds_left())

    @contextmanager
    def _recorded(self, request: Request, operation: str) -> Iterator[_Call]:
        call, started, outcome = _Call(), time.monotonic(), ProviderPluginError.code
        try:
            yield call
            outcome = "ok"
        except ProviderError as error:
            outcome, call.status = error.code, error.provider_status
            if call.status is None:
                call.reason = error.provider_message
            raise
        finally:
            seconds = time.monotonic() - started
            facts = {
                "provider": self._provider,
                "account": self._account,
                "operation": operation,
                "method": request.method,
                "host": request.origin.host,
                "status": call.status,
                "outcome": outcome,
                "attempts": call.attempts,
                "milliseconds": round(seconds * 1000),
                "reason": call.reason,
            }
            level = logging.WARNING
            if outcome == "ok":
                # One that succeeds at once is counted; a line at INFO would double those of requests.
                level = logging.DEBUG if call.attempts == 1 else logging.INFO
            if logger.isEnabledFor(level):
                said = " ".join(f"{name}={value}" for name, value in facts.items())
                logger.log(level, "provider call: %s", said, extra=facts)
            if self._observer is not None:
                self._observer(
                    CallOutcome(
                        provider=self._provider,
                        operation=operation,
                        method=request.method,
                        host=request.origin.host,
                        status=call.status,
                        outcome=outcome,
                        attempts=call.attempts,
                        seconds=seconds,
                    )
                )

    @contextmanager
    def _slot(self) -> Iterator[None]:
        wait = min(SLOT_WAIT_SECONDS, seconds_left())
        with own_share(self._share, wait, ProviderBusy(retry_after_seconds=1.0)):
            if not self._slots.acquire(timeout=wait):
                raise ProviderBusy(retry_after_seconds=1.0)
            try:
                yield
            finally:
                self._slots.release()

    def _attempt(self, request: Request, call: _Call, deadline: float) -> Answer:
        now = time.monotonic()
        if now >= deadline:
            raise ProviderUnavailable(
                "No time was left to call the video provider.", retry_after_seconds=RETRY_AFTER_SECONDS
            )
        ticket = self._breaker.enter()
        verdict = None
        try:
            call.attempts += 1
            call.asked_to_wait_seconds = None
            answer = self._exchange(request, call, min(deadline, now + self._attempt_seconds))
            call.status = answer.status
            verdict = Verdict.SUCCEEDED if answer.status < 400 else Verdict.ANSWERED
        except ProviderError as error:
            verdict = judge(error)
            self._last_error_code = error.code
            raise
        finally:
            self._breaker.leave(ticket, verdict)
        self._last_error_code = None
        self._retries.refill()
        return answer

    def _exchange(self, request: Request, call: _Call, deadline: float) -> Answer:
        """Send one request and read its answer, which is returned if it is of use, and raised if it is not."""
        headers = HTTPHeaderDict({"User-Agent": f"videoconf/{__version__}"})
        if request.content_type is not None:
            headers["Content-Type"] = request.content_type
        for name, value in request.headers().items():
            headers[name] = value
        try:
            with self._connections.use(request.origin, deadline) as connection:
                connection.request(
                    request.method, request.target, body=request.body, headers=headers, preload_content=False
                )
                with closing(connection.getresponse()) as response:
                    useful = 200 <= response.status < 300 or response.status in request.accept
                    body = b""
                    try:
                        body = self._read(response, request.answer_cap_bytes)
                    except (HTTPError, OSError, HTTPException, ProviderBadResponse):
                        if useful:
                            raise
                        connection.close()  # its status says enough; the rest is still on the wire
        except (HTTPError, OSError, HTTPException) as failure:
            raise error_of_exchange(failure) from None  # its text may repeat the peer's
        except ValueError:  # its text holds the header or the URL
            raise ProviderPluginError("The request to the video provider cannot be built.") from None
        answer = Answer(response.status, {name.lower(): response.headers[name] for name in response.headers}, body)
        accepted = response.status in request.accept
        vendor_error = request.read_error(answer) if request.read_error is not None and not accepted else None
        if useful and vendor_error is None:
            return answer
        call.asked_to_wait_seconds = find_retry_after(answer.headers)
        query = dict(parse_qsl(request.target.partition("?")[2]))
        said = list(_texts([request.values, query, [text.split() for text in headers.values()]]))
        # Its message repeats nothing of what was sent.
        raise error_of_status(answer.status, answer.headers, body, said, vendor_error)

    def _read(self, response: BaseHTTPResponse, cap_bytes: int) -> bytes:
        body = bytearray()
        while chunk := response.read(CHUNK_BYTES):
            body += chunk
            if len(body) > cap_bytes:
                raise ProviderBadResponse("The video provider's answer is too large.", provider_status=response.status)
        return bytes(body)

    def _find_pause(self, error: ProviderError, call: _Call, idempotent: bool, deadline: float) -> float | None:
        """Return how long to wait before the next attempt, or None if there must be none."""
        if not is_repeatable(error, idempotent=idempotent) or not 0 < call.attempts < MOST_ATTEMPTS:
            return None
        longest = min(LONGEST_PAUSE_SECONDS, PAUSE_SECONDS * 2 ** (call.attempts - 1))
        pause = max(random.uniform(0, longest), call.asked_to_wait_seconds or 0.0)  # noqa: S311  # no secret
        if time.monotonic() + pause + self._connect_seconds > deadline:
            return None
        try:
            self._breaker.check()
        except ProviderError:
            return None  # this failure has opened it, and says more than that it is open
        return pause if self._retries.take() else None


class _RetryBudget:
    """Lets about one call in ten be repeated when many fail, so that retries do not double an outage's load."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._tokens = RETRY_TOKENS

    def take(self) -> bool:
        with self._lock:
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True

    def refill(self) -> None:
        with self._lock:
            self._tokens = min(RETRY_TOKENS, self._tokens + RETRY_TOKENS_PER_SUCCESS)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from _texts(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from _texts(member)
