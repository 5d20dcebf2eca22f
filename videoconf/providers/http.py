"""The HTTP client for all providers: limits time, size and concurrency, and maps all errors in one place."""

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
    """Number of attempts; 0 if the circuit breaker was open or no slot was free."""
    seconds: float


@dataclass(frozen=True)
class ClientState:
    """Whether calls go through, for operators to read."""

    breaker: BreakerState
    since: datetime
    """When ``breaker`` took its present state, in UTC."""
    last_error_code: str | None
    """Code of the latest attempt's error; None if that attempt succeeded."""


@dataclass
class _Call:
    attempts: int = 0
    status: int | None = None
    reason: str | None = None
    asked_to_wait_seconds: float | None = None
    """``Retry-After`` of the latest answer."""


class GuardedClient:
    """The HTTP client for one account at one provider. Thread-safe; keeps connections alive.

    Guarantees, whatever the peer does:

    * A call ends at the deadline of :mod:`videoconf.providers.deadline`, and an attempt after ``attempt_seconds``; both
      are exact to some tenths of a second.
    * The client reads at most ``answer_cap_bytes`` into memory, counted after decompression.
    * It follows no redirects, ignores ``.netrc`` and the proxy variables of the environment, and verifies certificates.
    * A request that is not idempotent reaches the provider at most once.
    * Every error is one of :mod:`videoconf.errors`. Neither errors nor log lines contain a query, a header, a body or a
      path. Servers on the way may log paths, so put secrets into headers or bodies.

    :param provider: key of the provider, for logs and metrics.
    :param account: public name of the credentials, for logs.
    :param slots: maximum number of concurrent calls; a call keeps its slot while it waits between attempts.
    :param clock: monotonic seconds; for the breaker only.
    :param observer: called after every call, in its thread; must not raise.
    :param connect_seconds: limit of DNS lookup, connection and TLS handshake together.
    :param between_bytes_seconds: maximum time without a byte from the peer.
    :param attempt_seconds: limit of one attempt.
    :param downloads: checks each host of :meth:`open`; None allows every host, also by plain HTTP.
    :param proxy: the operator's forward proxy, for all connections except to the hosts that it excludes.
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
        self._share = Share(max(1, slots - max(1, slots // 8)))  # the share of one tenant
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
        """Close idle connections. Idempotent; does not interrupt calls in progress."""
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
        """Make one call, retry it at most twice where a retry is safe, and return the whole answer.

        :param url: absolute, ``http`` or ``https``; the caller quotes values in the path.
        :param operation: short name for logs and metrics, like ``archive.start``.
        :param idempotent: the provider may get this request more than once.
        :param headers: the client calls a callable before each attempt, so that a short-lived token is always valid;
            exceptions of the callable are passed through.
        :param json: body, sent as ``application/json``.
        :param form: body, sent as ``application/x-www-form-urlencoded``; not together with ``json``.
        :param accept: statuses ≥ 400 to return instead of raising an error.
        :param read_error: for vendors with unusual statuses or error bodies. The client calls it with each answer that
            ``accept`` does not name, also with 2xx answers. If it returns a :class:`VendorError`, the client raises,
            retries and counts that error. If it returns None, the usual rules apply. Its exceptions are passed through.
        :param answer_cap_bytes: replaces the client's limit for this call: for lists that the vendor does not page.
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
        """Open a large file that is not part of the API, for example an archive: see :func:`open_download`.

        Uses neither a slot nor the circuit breaker: the file is on another host, and reading it may take hours.
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
                # Metrics count calls that succeed at once; an INFO line for each would double the number of log lines.
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
        """Send one request; return a successful or accepted answer, and raise every other answer as an error."""
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
                        connection.close()  # the status is enough; unread bytes make the connection unusable
        except (HTTPError, OSError, HTTPException) as failure:
            raise error_of_exchange(failure) from None  # the original message may contain text of the peer
        except ValueError:  # its message contains the header or the URL
            raise ProviderPluginError("The request to the video provider cannot be built.") from None
        answer = Answer(response.status, {name.lower(): response.headers[name] for name in response.headers}, body)
        accepted = response.status in request.accept
        vendor_error = request.read_error(answer) if request.read_error is not None and not accepted else None
        if useful and vendor_error is None:
            return answer
        call.asked_to_wait_seconds = find_retry_after(answer.headers)
        query = dict(parse_qsl(request.target.partition("?")[2]))
        said = list(_texts([request.values, query, [text.split() for text in headers.values()]]))
        # The message must not repeat values that this request sent.
        raise error_of_status(answer.status, answer.headers, body, said, vendor_error)

    def _read(self, response: BaseHTTPResponse, cap_bytes: int) -> bytes:
        body = bytearray()
        while chunk := response.read(CHUNK_BYTES):
            body += chunk
            if len(body) > cap_bytes:
                raise ProviderBadResponse("The video provider's answer is too large.", provider_status=response.status)
        return bytes(body)

    def _find_pause(self, error: ProviderError, call: _Call, idempotent: bool, deadline: float) -> float | None:
        """Return how long to wait before the next attempt, or None if the call must not be retried."""
        if not is_repeatable(error, idempotent=idempotent) or not 0 < call.attempts < MOST_ATTEMPTS:
            return None
        longest = min(LONGEST_PAUSE_SECONDS, PAUSE_SECONDS * 2 ** (call.attempts - 1))
        pause = max(random.uniform(0, longest), call.asked_to_wait_seconds or 0.0)  # noqa: S311  # no secret
        if time.monotonic() + pause + self._connect_seconds > deadline:
            return None
        try:
            self._breaker.check()
        except ProviderError:
            return None  # this failure opened the breaker; its error says more than "the breaker is open"
        return pause if self._retries.take() else None


class _RetryBudget:
    """Limits retries to about one in ten calls when many fail, so that retries do not double the load of an outage."""

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
