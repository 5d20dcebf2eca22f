"""What connections send, as events reported it: media streams, for the providers that mute streams and not people.

Both times of a row only grow, so order and repetition change nothing. A stream is there when it was published after it
was last gone; both at one moment: it is gone. When its connection has left, it is gone whatever its own events say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import Insert, String, bindparam, or_, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from videoconf.attendance.models import AttendeeConnection, AttendeeStream
from videoconf.attendance.presence import NO_LEAVE_STANDS, Attendee, Stream, c
from videoconf.db.functions import greatest
from videoconf.db.transactions import Transaction, dialect_of
from videoconf.db.types import UTCDateTime
from videoconf.db.upsert import upserts

if TYPE_CHECKING:  # a command that explains has no use for providers
    from videoconf.providers import ProviderEvent

STREAMS: Any = AttendeeStream.__table__
s = AttendeeStream.__table__.c

READ_AT_ONCE = 500
"""Attendees, and connections, whose streams one query reads."""


def merge(transaction: Transaction, meeting_id: int, event: ProviderEvent) -> None:
    """Merge what an event says of a stream into the stream's row. Its connection has a row, by the same event.

    An event that tells of no stream, as most do, costs nothing.
    """
    if event.stream is None:
        return
    told = {
        "of_meeting": meeting_id,
        "of_connection": event.connection_id,
        "stream": event.stream.stream_id,
        "published": event.at if event.stream.is_published else None,
        "gone": None if event.stream.is_published else event.at,
    }
    transaction.execute(_MERGE[dialect_of(transaction)], told)


def find_streams(session: Session, meeting_id: int) -> dict[str, list[str]]:
    """Return the ids of the streams that are there, by the id of their connection."""
    found: dict[str, list[str]] = {}
    for connection_id, stream_id in session.execute(_THERE, {"meeting_id": meeting_id}):
        found.setdefault(connection_id, []).append(stream_id)
    return found


_THERE = (
    select(s.connection_id, s.stream_id)
    .join(AttendeeConnection, (c.meeting_id == s.meeting_id) & (c.connection_id == s.connection_id))
    .where(
        s.meeting_id == bindparam("meeting_id"),
        s.last_published.is_not(None),
        or_(s.last_gone.is_(None), s.last_published > s.last_gone),
        NO_LEAVE_STANDS,
    )
    .order_by(s.connection_id, s.stream_id)
)


def streams_of(session: Session, meeting_id: int, connections: Sequence[str]) -> dict[str, list[Stream]]:
    """Return what is known of the streams of these connections, those that are gone included, by connection."""
    found: dict[str, list[Stream]] = {}
    for first in range(0, len(connections), READ_AT_ONCE):
        some = {"meeting_id": meeting_id, "connections": connections[first : first + READ_AT_ONCE]}
        for connection_id, *stream in session.execute(_KNOWN, some):
            found.setdefault(connection_id, []).append(Stream._make(stream))
    return found


def with_streams(session: Session, meeting_id: int, attendees: Iterable[Attendee]) -> Iterator[Attendee]:
    """Give attendees with the streams of each of their connections, in bounded memory.

    Within a ``read(snapshot=True)``.
    """
    rest = iter(attendees)
    while some := list(islice(rest, READ_AT_ONCE)):
        found = streams_of(session, meeting_id, [one.id for attendee in some for one in attendee.connections])
        for attendee in some:
            connections = (one._replace(streams=tuple(found.get(one.id, ()))) for one in attendee.connections)
            yield attendee._replace(connections=tuple(connections))


_KNOWN = (
    select(s.connection_id, s.stream_id, s.last_published, s.last_gone)
    .where(s.meeting_id == bindparam("meeting_id"), s.connection_id.in_(bindparam("connections", expanding=True)))
    .order_by(s.connection_id, s.stream_id)
)


def _merge_statement(plain: postgresql.Insert) -> Insert:
    # A person who was erased gets no new streams.
    new_row = select(
        c.meeting_id,
        c.connection_id,
        bindparam("stream", type_=String()),
        bindparam("published", type_=UTCDateTime()),
        bindparam("gone", type_=UTCDateTime()),
    ).where(
        c.meeting_id == bindparam("of_meeting"), c.connection_id == bindparam("of_connection"), c.erased_on.is_(None)
    )
    statement = plain.from_select(STREAMS.c.keys(), new_row)
    return statement.on_conflict_do_update(
        index_elements=["meeting_id", "connection_id", "stream_id"],
        set_={name: greatest(s[name], statement.excluded[name]) for name in ("last_published", "last_gone")},
    )


_MERGE = upserts(STREAMS, _merge_statement)
