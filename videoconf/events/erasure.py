"""Remove a person from the events that name them, and from the stored answers to deliveries of these events."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from videoconf.events.changes import of_connection
from videoconf.events.comparison import names_person, without_person
from videoconf.events.models import Change, Event, ReportedPart
from videoconf.events.subscription_models import EventDelivery
from videoconf.events.types import FACTS

BATCH = 500

_CHANGES: Any = Change.__table__
_EVENTS: Any = Event.__table__
_PARTS: Any = ReportedPart.__table__
_DELIVERIES: Any = EventDelivery.__table__


def forget_person(
    session: Session, tenant: str, meeting: tuple[int, str], connections: Collection[str], attendee: str
) -> None:
    """Remove a person from one meeting's events, by their connections and their id; within the erasure's transaction.

    The projector does the same once more when it reads the change, for events that it was writing meanwhile.

    :param meeting: the meeting's id and link.
    """
    meeting_id, link = meeting
    forget_connections(session, tenant, link, connections, attendee)
    theirs = _PARTS.c.meeting_id == meeting_id
    listed = select(_PARTS.c.attendee_part).where(theirs, _PARTS.c.part.in_(map(of_connection, connections)))
    for row in session.execute(select(_PARTS).where(theirs, _PARTS.c.part.in_(listed))).all():
        statement = update(_PARTS).where(theirs, _PARTS.c.part == row.part)
        session.execute(statement.values(data=without_person(row.data)))


def forget_waiting_facts(session: Session, meeting_ids: Collection[int], attendee: str) -> None:
    """Remove a person from the facts of these meetings that wait for the projector. Before :func:`forget_facts`."""
    waiting = select(_CHANGES.c.id, _CHANGES.c.data).where(
        _CHANGES.c.meeting_id.in_(meeting_ids), _CHANGES.c.data.is_not(None)
    )
    for row in session.execute(waiting).all():
        if names_person(row.data, (), attendee):
            changed = update(_CHANGES).where(_CHANGES.c.id == row.id)
            session.execute(changed.values(data=without_person(row.data)))


def forget_facts(session: Session, tenant: str, attendee: str) -> None:
    """Remove a person from the facts that name them in any meeting, such as a guest who waited in a lobby."""
    about = (
        _EVENTS.c.tenant == tenant,
        _EVENTS.c.type.in_([str(one) for one in FACTS]),
        _EVENTS.c.data["attendee"].as_string() == attendee,
    )
    events = select(_EVENTS.c.position, _EVENTS.c.id, _EVENTS.c.data).where(*about)
    _forget_in(session, session.execute(events).all())


def forget_connections(
    session: Session, tenant: str, link: str, connections: Collection[str], attendee: str | None = None
) -> None:
    """Remove the person whose these connections were from the events of a meeting."""
    named = or_(_EVENTS.c.type.like("attendee.%"), _EVENTS.c.type.in_([str(one) for one in FACTS]))
    statement = (
        select(_EVENTS.c.position, _EVENTS.c.id, _EVENTS.c.data)
        .where(_EVENTS.c.tenant == tenant, _EVENTS.c.meeting_link == link, named)
        .order_by(_EVENTS.c.position)
        .limit(BATCH)
    )
    after = 0
    while rows := session.execute(statement.where(_EVENTS.c.position > after)).all():
        after = rows[-1].position
        _forget_in(session, [row for row in rows if names_person(row.data, connections, attendee)])


def _forget_in(session: Session, events: Collection[Any]) -> None:
    """Remove the person from events, and delete what receivers answered, because an answer may repeat the event."""
    for row in events:
        changed = update(_EVENTS).where(_EVENTS.c.position == row.position)
        session.execute(changed.values(data=without_person(row.data)))
    ids = [row.id for row in events]
    found = select(_DELIVERIES.c.id, _DELIVERIES.c.attempts).where(_DELIVERIES.c.event_id.in_(ids))
    for row in session.execute(found).all():
        attempts = [{**one, "body": None} for one in row.attempts]
        session.execute(update(_DELIVERIES).where(_DELIVERIES.c.id == row.id).values(attempts=attempts))
