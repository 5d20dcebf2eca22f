"""Remember why webhooks were refused: the newest 1,000 of each provider, reason and time only, never a body.

Anyone can post a webhook that is refused, so a refusal must cost little. A refusal is noted in memory, where a newer
one displaces the oldest; one transaction writes what was noted, at most every :data:`WRITE_SECONDS` in each process,
and deletes what exceeds the bound. So the table never holds more, whatever is posted. A process that is killed loses
the refusals of its last :data:`WRITE_SECONDS`; the log still has a line for each.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select

from videoconf.db.transactions import lock, statements
from videoconf.errors import VideoconfError
from videoconf.webhooks.models import WebhookRefusal

logger = logging.getLogger(__name__)

KEPT = 1000
"""Refusals of one provider that are kept."""
WRITE_SECONDS = 10.0
REASON_CHARACTERS = 255

_TABLE: Any = WebhookRefusal.__table__


class Refusals:
    """The refusals that this process noted and has not written yet. Thread-safe.

    :param context: enters the context in which the database can be used. Raises ``ReferenceError`` when the
        application is gone.
    """

    def __init__(self, context: Callable[[], AbstractContextManager[Any]]) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._noted: dict[str, deque[dict[str, Any]]] = {}
        self._timer: threading.Timer | None = None
        self._closed = False

    def note(self, provider: str, channel: str, reason: str, received_at: datetime) -> None:
        """Remember a refused webhook. Never waits for the database."""
        row = {"provider": provider, "channel": channel, "reason": reason, "received_at": received_at}
        with self._lock:
            self._noted.setdefault(provider, deque(maxlen=KEPT)).append(row)
            self._schedule()

    def write(self) -> None:
        """Write what was noted, and delete what exceeds the bound. Called before this process lists refusals.

        :raises DatabaseUnavailable: what was noted stays in memory, and is written later.
        """
        with self._writing:
            with self._lock:
                noted, self._noted = self._noted, {}
            try:
                for provider in sorted(noted):
                    with self._context():
                        _store(provider, list(noted[provider]))
                    del noted[provider]
            finally:
                if noted:
                    self._take_back(noted)

    def _take_back(self, noted: dict[str, deque[dict[str, Any]]]) -> None:
        with self._lock:
            for provider, older in noted.items():
                older.extend(self._noted.get(provider, ()))
                self._noted[provider] = older
            self._schedule()

    def _schedule(self) -> None:
        if self._timer is None and not self._closed:
            # A weak reference: a timer that waits does not keep the application.
            self._timer = threading.Timer(WRITE_SECONDS, _run_later, (weakref.ref(self),))
            self._timer.daemon = True
            self._timer.start()

    def _run(self) -> None:
        with self._lock:
            self._timer = None
        try:
            self.write()
        except ReferenceError:
            pass  # the application is gone
        except VideoconfError as error:
            logger.warning("refused webhooks could not be stored now: %s", error.code)
        except Exception:
            logger.exception("refused webhooks could not be stored now")

    def close(self) -> None:
        """Write what was noted, at the end of the process."""
        with self._lock:
            timer, self._timer, self._closed = self._timer, None, True
        if timer is not None:
            timer.cancel()
            self._run()


def _run_later(weak: weakref.ref[Refusals]) -> None:
    if (refusals := weak()) is not None:
        refusals._run()


def as_reason(text: str) -> str:
    """Return a reason that fits its column and a line of a log."""
    return "".join(character if character.isprintable() else " " for character in text)[:REASON_CHARACTERS]


def _store(provider: str, rows: list[dict[str, Any]]) -> None:
    of_provider = select(_TABLE.c.id).where(_TABLE.c.provider == provider)
    newest_surplus = of_provider.order_by(_TABLE.c.id.desc()).offset(KEPT).limit(1).scalar_subquery()
    with statements(atomic=True) as transaction:
        lock(transaction, f"webhook_refusal:{provider}")  # nodes that write at once would exceed the bound together
        transaction.execute(insert(_TABLE), rows)
        transaction.execute(delete(_TABLE).where(_TABLE.c.provider == provider, _TABLE.c.id <= newest_surplus))
