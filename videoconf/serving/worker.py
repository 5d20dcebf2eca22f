"""gunicorn's threaded worker, changed so that no client can block its threads or its main loop.

Plain ``gthread`` hands each new connection to a thread, which then waits for the request, and closes connections on its
main loop, where it waits up to 2 s for each client. Here the main loop watches connections until their requests have
arrived, and lets closed ones go the same way. Requests are looked at and not read, so that gunicorn parses and serves
them as ever. Under TLS, where a request cannot be looked at, gunicorn's own way stays.

This is the one module that overrides gunicorn; ``tests/canaries/test_gunicorn.py`` checks what it relies on.
"""

from __future__ import annotations

import errno
import math
import selectors
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from sched import Event, scheduler
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from videoconf.serving.balance import Slot
from videoconf.serving.client_socket import SLOW_SECONDS, ClientSocket, SlowReaders
from videoconf.serving.request import Need, find_need

WAIT_SECONDS = 0.001
"""How long a worker leaves a new connection to those that have fewer."""
MOST_WAITS = 5
HEAD_SECONDS = 10.0
BODY_SECONDS = 15.0
"""Starts when the head has arrived."""
STOP_SECONDS = 2.0
"""A worker that stops still answers a request that arrives within this time on an open connection."""
LINGER_SECONDS = 2.0
LINGER_BYTES = 64 << 10
FIRST_PAUSE_SECONDS = 0.001
LONGEST_PAUSE_SECONDS = 0.05
"""Between two looks at a request that arrives in parts: however many parts a client sends, it costs no more."""
SCARCE_SECONDS = 0.02
"""How long a worker without free files accepts nothing; meanwhile it closes connections that can be spared."""
SPARED_AT_ONCE = 16
OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

TOO_LATE = "408 Request Timeout"
HEAD_TOO_LONG = "431 Request Header Fields Too Large"
TOO_MANY_BODIES = "503 Service Unavailable"


@dataclass(eq=False)
class _Arriving:
    """A connection whose next request has not arrived."""

    connection: Any
    until: float
    has_head: bool = False
    is_polled: bool = False
    pause: float = FIRST_PAUSE_SECONDS
    timer: Event | None = None


class BalancedWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Serves complete requests, balances connections with the other workers, and closes without waiting."""

    def __init__(self, age: int, *args: Any) -> None:
        super().__init__(age, *args)
        self._slot = Slot(age)
        self._waits = 0
        self._left: set[socket.socket] = set()
        self._timers = scheduler(time.monotonic)
        self._due_at = math.inf
        self._arriving: dict[Any, _Arriving] = {}
        self._closing: dict[Any, int] = {}
        self._delivering: dict[Any, Any] = {}
        self._few_threads = max(1, self.cfg.threads // 4)
        self._body_readers = 0
        self._slow_readers = SlowReaders(self._few_threads)
        self._is_stopping = False
        self._to_spare = 0

    # --- the main loop -----------------------------------------------------------------------------------------------

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for events as any threaded worker, but no longer than until a timer is due; then run what is due."""
        if self.alive:
            self._slot.publish(self.nr_conns)
        elif not self._is_stopping:
            self._stop()
        super().wait_for_and_dispatch_events(max(0.0, min(timeout, self._due_at - time.monotonic())))
        # Not before all events are handled: one of them may be of a connection that is closed here.
        delay = self._timers.run(blocking=False)
        self._due_at = math.inf if delay is None else time.monotonic() + delay
        spared = max(self._to_spare, self.nr_conns - self.worker_connections + 1)
        self._to_spare = 0
        for _ in range(spared):
            self._close_oldest()

    def leave(self) -> None:
        """Clear this worker's slot. The master calls it when the worker has exited."""
        self._slot.clear()

    def _stop(self) -> None:
        self._is_stopping = True
        self._slot.clear()
        soon = time.monotonic() + STOP_SECONDS
        for conn in self.keepalived_conns:
            conn.timeout = min(conn.timeout, soon)
        for arriving in self._arriving.values():
            if not arriving.has_head:
                arriving.until = min(arriving.until, soon)
                self._timers.enterabs(arriving.until, 0, self._look_at_stop, (arriving,))
        self._timers.enterabs(soon, 0, self.murder_keepalived)
        self._due_at = min(self._due_at, soon)

    def _look_at_stop(self, arriving: _Arriving) -> None:
        if self._arriving.get(arriving.connection) is arriving:
            self._forget(arriving)
            self._look(arriving)

    # --- accepting ---------------------------------------------------------------------------------------------------

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection, or leave it for some milliseconds to workers that have fewer."""
        if self._waits < MOST_WAITS and self._slot.is_busier_than_others(self.nr_conns):
            self._waits += 1
            self._leave_for(WAIT_SECONDS, listener)
            return
        self._waits = 0
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno not in OUT_OF_RESOURCES:
                raise
            if not (self._closing or self._arriving or self._delivering or self.keepalived_conns):
                self.log.warning("cannot accept a connection: %s", error)
            self._to_spare = SPARED_AT_ONCE
            self._leave_for(SCARCE_SECONDS, listener)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Do as any threaded worker, which expects to find all its listeners polled."""
        for listener in tuple(self._left):
            self._listen_again(listener)
        super().set_accept_enabled(enabled)

    def _leave_for(self, seconds: float, listener: socket.socket) -> None:
        self.poller.unregister(listener)
        self._left.add(listener)
        self._timers.enter(seconds, 0, self._listen_again, (listener,))

    def _listen_again(self, listener: socket.socket) -> None:
        if listener in self._left:
            self._left.remove(listener)
            self.poller.register(listener, selectors.EVENT_READ, self.accept)

    # --- dispatching -------------------------------------------------------------------------------------------------

    def enqueue_req(self, conn: Any) -> None:
        """Hand a connection to a thread once its request has arrived. The poller does not have it at this time."""
        if self.cfg.is_ssl:
            super().enqueue_req(conn)
            return
        if not isinstance(conn.sock, ClientSocket):
            conn.sock = ClientSocket.take_over(conn.sock, self._slow_readers)
            conn.data_ready = True  # a thread need not wait for it
        self._look(_Arriving(conn, time.monotonic() + HEAD_SECONDS))

    def _look(self, arriving: _Arriving) -> None:
        """Dispatch a request if it has arrived; otherwise look again when more of it may have."""
        conn, now = arriving.connection, time.monotonic()
        data, arrived = _read_ahead(conn), None
        try:
            arrived = conn.sock.peek()
            data += arrived
        except BlockingIOError:
            pass
        except OSError:
            arrived = b""
        need = find_need(data)
        if need in (Need.BODY, Need.READER) and not arriving.has_head:
            arriving.has_head, arriving.until = True, now + BODY_SECONDS
        if need is Need.READER and self._body_readers < self._few_threads:
            self._body_readers += 1
            conn.sock.read_until = arriving.until
            need = Need.NOTHING

        if need is Need.NOTHING:
            self._arriving.pop(conn, None)
            super().enqueue_req(conn)
        elif arrived == b"":
            self._drop(conn)
        elif need is Need.SHORTER_HEAD:
            self._refuse(conn, HEAD_TOO_LONG)
        elif now >= arriving.until:
            if data:
                self._refuse(conn, TOO_MANY_BODIES if need is Need.READER else TOO_LATE)
            else:
                self._drop(conn)
        else:
            self._look_later(arriving, now, is_silent=arrived is None and need is not Need.READER)

    def _look_later(self, arriving: _Arriving, now: float, *, is_silent: bool) -> None:
        conn, when = arriving.connection, arriving.until
        self._arriving[conn] = arriving
        arriving.is_polled = is_silent
        if is_silent:
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_arrival, arriving))
        else:  # the poller would report at once what has arrived already
            when = min(when, now + arriving.pause)
            arriving.pause = min(2 * arriving.pause, LONGEST_PAUSE_SECONDS)
        arriving.timer = self._timers.enterabs(when, 0, self._on_time, (arriving,))

    def _on_arrival(self, arriving: _Arriving, _: Any) -> None:
        self._forget(arriving)
        self._look(arriving)

    def _on_time(self, arriving: _Arriving) -> None:
        arriving.timer = None
        self._forget(arriving)
        self._look(arriving)

    def _forget(self, arriving: _Arriving) -> None:
        """Undo :meth:`_look_later`, save that the connection keeps its place among those that arrive."""
        if arriving.timer is not None:
            self._timers.cancel(arriving.timer)
            arriving.timer = None
        if arriving.is_polled:
            arriving.is_polled = False
            self.poller.unregister(arriving.connection.sock)

    # --- closing -----------------------------------------------------------------------------------------------------

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Keep or close a connection when its thread is done, without waiting for the client."""
        if isinstance(conn.sock, ClientSocket):
            if conn.sock.read_until is not None:
                self._body_readers -= 1
            conn.sock.end_request()
            if conn.sock.holds_answer:
                self._deliver(conn, fs)
                return
        self._go_on(conn, fs)

    def _go_on(self, conn: Any, fs: Any) -> None:
        if fs.cancelled() or fs.exception() is not None or not fs.result():
            self._close_gently(conn)
        elif isinstance(conn.sock, ClientSocket) and not self.alive:
            self._look(_Arriving(conn, time.monotonic() + STOP_SECONDS))
        elif isinstance(conn.sock, ClientSocket) and _read_ahead(conn):
            self.enqueue_req(conn)
        else:
            super().finish_request(conn, fs)

    def _deliver(self, conn: Any, fs: Any) -> None:
        """Send the end of an answer as the client reads it."""
        try:
            self.poller.register(conn.sock, selectors.EVENT_WRITE, partial(self._on_writable, conn))
        except (OSError, ValueError):  # a thread has closed it
            self._drop(conn)
            return
        self._delivering[conn] = fs
        self._timers.enter(SLOW_SECONDS, 0, self._end_delivery, (conn, fs))

    def _on_writable(self, conn: Any, _: Any) -> None:
        try:
            if not conn.sock.flush():
                return
        except OSError:
            self._drop(conn)
            return
        self.poller.unregister(conn.sock)
        self._go_on(conn, self._delivering.pop(conn))

    def _end_delivery(self, conn: Any, fs: Any) -> None:
        if self._delivering.get(conn) is fs:
            self._drop(conn)

    def _refuse(self, conn: Any, status: str) -> None:
        with suppress(OSError):
            conn.sock.send(f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
        self._close_gently(conn)

    def _close_gently(self, conn: Any) -> None:
        """Half-close, and close when the client has, so that it receives the answer: RFC 9112, section 9.6."""
        self._arriving.pop(conn, None)
        self._closing[conn] = 0
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._read_away, conn))
        except (OSError, ValueError):
            self._finish_closing(conn)
            return
        self._timers.enter(LINGER_SECONDS, 0, self._finish_closing, (conn,))

    def _read_away(self, conn: Any, _: Any) -> None:
        try:
            count = len(socket.socket.recv(conn.sock, LINGER_BYTES))
        except BlockingIOError:
            return
        except OSError:
            count = 0
        self._closing[conn] += count
        if count == 0 or self._closing[conn] >= LINGER_BYTES:
            self._finish_closing(conn)

    def _finish_closing(self, conn: Any) -> None:
        if self._closing.pop(conn, None) is not None:
            self._drop(conn)

    def _drop(self, conn: Any) -> None:
        self._arriving.pop(conn, None)
        self._delivering.pop(conn, None)
        if isinstance(conn.sock, ClientSocket):
            conn.sock.discard()
        with suppress(OSError, KeyError, ValueError):
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

    def _close_oldest(self) -> None:
        """Close the connection that can be spared most: one that closes, sends or reads slowly, or is idle."""
        if self._closing:
            self._finish_closing(next(iter(self._closing)))
        elif self._arriving:
            arriving = next(iter(self._arriving.values()))
            self._forget(arriving)
            self._drop(arriving.connection)
        elif self._delivering:
            self._drop(next(iter(self._delivering)))
        elif self.keepalived_conns:
            self.keepalived_conns[0].timeout = 0.0
            self.murder_keepalived()


def _read_ahead(conn: Any) -> bytes:
    """Return what gunicorn has read of the next request together with the previous one."""
    return b"" if conn.parser is None else bytes(conn.parser.unreader.buf.getvalue())
