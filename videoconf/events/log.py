"""Read the log: the events of a tenant after a position, and the newest position."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from videoconf.db import keyset
from videoconf.db.batches import ROWS_PER_BATCH, run_until
from videoconf.db.functions import utc_in
from videoconf.db.keyset import Order
from videoconf.db.transactions import read, write
from videoconf.errors import EventCursorExpired, ValidationFailed
from videoconf.events.models import Event, EventLog
from videoconf.tenancy import Caller, visible_to

_EVENTS: Any = Event.__table__
_LOG: Any = EventLog.__table__


class Bounds(NamedTuple):
    """Where the log ends and begins: events at ``pruned`` and before are deleted."""

    newest: int
    pruned: int


@dataclass(frozen=True)
class Wanted:
    """Which events a caller asks for; None: any."""

    after: int | None = None
    """None: from the oldest that is kept."""
    type: str | None = None
    meeting_link: str | None = None


@dataclass(frozen=True)
class Read:
    """Events in order, and the position behind which the next ones are."""

    items: list[Event]
    next: int


def bounds() -> Bounds:
    """Return where the log ends and begins."""
    with read() as session:
        return bounds_in(session)


def bounds_in(session: Session) -> Bounds:
    """Return the same within a transaction."""
    row = session.execute(select(_LOG.c.position, _LOG.c.pruned)).one_or_none()
    return Bounds(0, 0) if row is None else Bounds(*row)


def newest_position() -> int:
    """Return where the log ends."""
    return bounds().newest


def read_events(caller: Caller, wanted: Wanted, limit: int) -> Read:
    """Return a tenant's events behind a position, oldest first.

    :raises EventCursorExpired: events behind the position were deleted by their age; names the oldest position.
    :raises ValidationFailed: no event has had this position yet.
    """
    with read() as session:
        # First how far the log is, then the events up to there: all of them are committed.
        log = bounds_in(session)
        after = check_position(wanted.after, log)
        items = _part(session, caller, wanted, limit, after, Event.position <= log.newest, descending=False)
    return Read(items, items[-1].position if len(items) == limit else log.newest)


def read_events_before(caller: Caller, wanted: Wanted, before: int | None, limit: int) -> Read:
    """Return a tenant's events before a position, or the newest, newest first. ``next`` is 0 where there are no more.

    A position whose events were deleted has none before it.
    """
    with read() as session:
        log = bounds_in(session)
        last = log.newest if before is None else min(before - 1, log.newest)
        items = _part(session, caller, wanted, limit, last + 1, Event.position > log.pruned, descending=True)
    return Read(items, items[-1].position if len(items) == limit else 0)


def _part(
    session: Session,
    caller: Caller,
    wanted: Wanted,
    limit: int,
    position: int,
    bound: ColumnElement[bool],
    *,
    descending: bool,
) -> list[Event]:
    """Return the events behind a position in the direction of the order, up to a bound at the other end."""
    conditions: list[ColumnElement[bool]] = [bound]
    within: dict[Any, Any] = {Event.tenant: caller.tenant}
    if wanted.meeting_link is not None or wanted.type is not None:
        conditions.append(visible_to(caller, Event.tenant))
        within = {Event.type: wanted.type}
    if wanted.meeting_link is not None:  # a meeting has few events, whatever their type is
        within = {Event.meeting_link: wanted.meeting_link}
        if wanted.type is not None:
            conditions.append(Event.type == wanted.type)
    order = Order((Event.position,), descending).within(within)
    statement = keyset.cut(select(Event).where(*conditions), order, "after")
    return list(session.execute(statement, {"after_0": position, "list_limit": limit}).scalars())


def check_position(after: int | None, log: Bounds) -> int:
    """Return the position to read from; errors as for :func:`read_events`."""
    if after is None:
        return log.pruned
    if after < log.pruned:
        raise EventCursorExpired(
            f"Events up to position {log.pruned} were deleted by their age.", extra={"oldestPosition": log.pruned}
        )
    if after > log.newest:
        raise ValidationFailed(errors={"after": [f"The newest position is {log.newest}."]})
    return after


class EventRetention:
    """Deletes old events. The recurring job.

    :param days: how long an event is kept.
    """

    def __init__(self, days: int) -> None:
        self._days = days

    def run(self) -> None:
        """Delete the oldest events, in small transactions, until time is up."""
        until = run_until()
        old = (
            select(_EVENTS.c.position)
            .where(_EVENTS.c.at < utc_in(-86_400.0 * self._days))
            .order_by(_EVENTS.c.position)
            .limit(ROWS_PER_BATCH)
        )
        while time.monotonic() < until:
            with write() as session:
                last = session.execute(select(func.max(old.subquery().c.position))).scalar_one()
                if last is None:
                    return
                session.execute(update(_LOG).values(pruned=last))
                session.execute(delete(_EVENTS).where(_EVENTS.c.position <= last))
