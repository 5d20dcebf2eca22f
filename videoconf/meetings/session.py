"""Binding a meeting to the provider's session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Update, bindparam, exc, update

from videoconf.db.transactions import Transaction, dialect_of, lock
from videoconf.errors import ProviderBadResponse
from videoconf.events.changes import MEETING, execute_noting, noting
from videoconf.meetings.models import Meeting
from videoconf.providers import SessionRef

_MEETINGS: Any = Meeting.__table__
_MEETING = _MEETINGS.c


@dataclass(frozen=True)
class Bound:
    """A meeting whose session has just become known."""

    meeting_id: int
    created_on: datetime
    provider: str
    session: SessionRef


@dataclass(frozen=True)
class Replay:
    """Applies what arrived for a session before its meeting was known. Handed over when the parts are wired."""

    is_waiting: ColumnElement[bool]
    """Whether anything waits for the parameters ``of_provider``, ``account`` and ``session_id``. Read with the binding,
    because it rarely holds and a query for each meeting costs a round trip."""
    apply: Callable[[Transaction, Bound], None]


class Sessions:
    """Binds sessions. One instance serves all threads."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        bind = _bind_statement(replay.is_waiting)
        self._bind = {dialect: noting(bind, dialect) for dialect in ("postgresql", "sqlite")}

    def bind(
        self,
        transaction: Transaction,
        meeting_id: int,
        provider: str,
        session: SessionRef,
        storage_target_id: int | None = None,
    ) -> bool:
        """Store a meeting's session, and apply what arrived for the session before it was known.

        :param storage_target_id: the target that the provider received with the session. It is stored with the session
            and not before: a request that another one overtook would store its own target, and archives would be
            looked for, and deleted, there.
        :raises ProviderBadResponse: the session belongs to another meeting.
        :returns: False when the meeting already has a session or has moved to another provider; then nothing changed.
        """
        lock_session(transaction, provider, session)
        values = {
            "meeting_id": meeting_id,
            "of_provider": provider,
            "account": session.account,
            "session_id": session.session_id,
            "storage_target_id": storage_target_id,
        }
        try:
            statement = self._bind[dialect_of(transaction)]
            bound = execute_noting(transaction, statement, values, meeting_id, MEETING).one_or_none()
        except exc.IntegrityError as error:
            raise ProviderBadResponse("The provider returned one session for two meetings.") from error
        if bound is None:
            return False
        if bound.is_waiting:
            self._replay.apply(transaction, Bound(meeting_id, bound.created_on, provider, session))
        return True


def lock_session(transaction: Transaction, provider: str, session: SessionRef) -> None:
    """Hold a session's lock until the transaction ends.

    Binding takes the lock, and so does an event of an unknown session: either the event finds the meeting, or the
    binding finds the event.
    """
    lock(transaction, f"session:{provider}:{session.account}:{session.session_id}")


def _bind_statement(is_waiting: ColumnElement[bool]) -> Update:
    return (
        update(_MEETINGS)
        .where(
            _MEETING.id == bindparam("meeting_id"),
            _MEETING.session_id.is_(None),
            _MEETING.provider == bindparam("of_provider"),  # under its own name, the column would be set to it
        )
        .values(
            account=bindparam("account"),
            session_id=bindparam("session_id"),
            storage_target_id=bindparam("storage_target_id"),
            is_ready=True,
        )
        .returning(_MEETING.created_on, is_waiting.label("is_waiting"))
    )
