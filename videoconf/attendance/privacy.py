"""Export or erase the data of one person, by their stable id, in all meetings of a tenant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

from sqlalchemy import ColumnElement, RowMapping, and_, delete, exists, literal, select, update
from sqlalchemy.orm import Session

from videoconf.attendance.models import AttendeeConnection, AttendeeStream
from videoconf.audit import person_digest, record
from videoconf.db.functions import digest, utc_now
from videoconf.db.transactions import write
from videoconf.events.changes import note_change, of_erased
from videoconf.events.erasure import forget_facts, forget_person
from videoconf.formats import camel_cased, json_values
from videoconf.meetings.models import Meeting
from videoconf.tenancy import Caller, visible_to

_ROWS: Any = AttendeeConnection.__table__
_STREAMS: Any = AttendeeStream.__table__
_GIVEN = (
    "connection_id",
    "name",
    "first_join",
    "last_join",
    "last_leave",
    "leave_reason",
    "first_activity",
    "last_evidence",
)


class Elsewhere(Protocol):
    """What another part of the service stores of a person; called within the transaction."""

    def export(self, session: Session, caller: Caller, attendee: str) -> dict[str, Any]:
        """Return it by kind, in JSON's types."""

    def erase(self, session: Session, caller: Caller, attendee: str) -> dict[str, int]:
        """Erase it; return how much of each kind there was."""


class Persons:
    """Exports and erases. One instance serves all threads.

    :param forget_webhooks: deletes the raw webhooks of these meetings within the transaction.
    :param elsewhere: what is not attendance.
    """

    def __init__(
        self, forget_webhooks: Callable[[Session, Collection[int]], None], elsewhere: Sequence[Elsewhere] = ()
    ) -> None:
        self._forget_webhooks = forget_webhooks
        self._elsewhere = elsewhere

    def export(self, caller: Caller, attendee: str) -> dict[str, Any]:
        """Return what is stored under a person's id, as evidence and in JSON's types. Noted in the audit trail."""
        theirs = (*_is_of(attendee), visible_to(caller, Meeting.tenant))
        order = (Meeting.id, _ROWS.c.connection_id)
        columns = [_ROWS.c[name] for name in _GIVEN]
        of_connections = (
            select(Meeting.meeting_link, Meeting.session_id, *columns)
            .join(_ROWS, _ROWS.c.meeting_id == Meeting.id)
            .where(*theirs)
            .order_by(*order)
        )
        of_streams = (
            select(Meeting.meeting_link, *_STREAMS.c["connection_id", "stream_id", "last_published", "last_gone"])
            .join(_ROWS, _ROWS.c.meeting_id == Meeting.id)
            .join(_STREAMS, _is_of_connection())
            .where(*theirs)
            .order_by(*order, _STREAMS.c.stream_id)
        )
        with write() as session:
            rows = session.execute(of_connections).mappings().all()
            streams = session.execute(of_streams).mappings().all()
            others: dict[str, Any] = {}
            for part in self._elsewhere:
                others |= part.export(session, caller, attendee)
            counts = {"connections": len(rows), **{kind: len(found) for kind, found in others.items()}}
            _note(session, caller, "person.exported", attendee, counts)
        connections = [_in_json(row) for row in rows]
        sent = [_in_json(row) for row in streams]
        own = {"attendee": attendee, "tenant": caller.tenant, "connections": connections, "streams": sent}
        return {**own, **camel_cased(others)}

    def erase(self, caller: Caller, attendee: str) -> dict[str, int]:
        """Take a person's id and name off all that is stored; return how much it was. Noted in the audit trail.

        The times of presence stay, so that reports of a meeting still add up, without a person; the streams go.
        Webhooks that come late do not bring the person back to these connections; the raw bodies of these meetings'
        webhooks go at once.
        """
        others: dict[str, int] = {}
        with write() as session:
            for part in self._elsewhere:  # before the events: what is announced may become one meanwhile
                others |= part.erase(session, caller, attendee)
            of_tenant = select(Meeting.id).where(visible_to(caller, Meeting.tenant))
            erased = session.execute(
                update(_ROWS)
                .where(*_is_of(attendee), _ROWS.c.meeting_id.in_(of_tenant))
                .values(attendee=None, attendee_at=None, name=None, name_at=None, erased_on=utc_now())
                .returning(_ROWS.c.meeting_id, _ROWS.c.connection_id)
            ).all()
            meetings = [meeting_id for meeting_id, _ in erased]
            self._forget_events(session, caller, attendee, erased)
            forget_facts(session, caller.tenant, attendee)
            by_erased = exists().where(_is_of_connection(), _ROWS.c.erased_on.is_not(None))
            session.execute(delete(_STREAMS).where(_STREAMS.c.meeting_id.in_(set(meetings)), by_erased))
            self._forget_webhooks(session, set(meetings))
            counts = {"connections": len(meetings), **others}
            _note(session, caller, "person.erased", attendee, counts)
        return counts

    def _forget_events(self, session: Session, caller: Caller, attendee: str, erased: Sequence[Any]) -> None:
        """Remove the person from the events of their meetings, and leave the changes that report what is left."""
        by_meeting: dict[int, list[str]] = {}
        for meeting_id, connection_id in erased:
            by_meeting.setdefault(meeting_id, []).append(connection_id)
        links = select(Meeting.id, Meeting.meeting_link).where(Meeting.id.in_(by_meeting))
        for meeting_id, link in session.execute(links).all():
            connections = by_meeting[meeting_id]
            forget_person(session, caller.tenant, (meeting_id, link), connections, attendee)
            note_change(session, meeting_id, *map(of_erased, connections))


def _note(session: Session, caller: Caller, action: str, attendee: str, counts: dict[str, int]) -> None:
    # The trail outlives what was erased.
    after = {kind: count for kind, count in counts.items() if count or kind == "connections"}
    record(session, caller, action, target=person_digest(caller, attendee), after=after)


def _is_of(attendee: str) -> tuple[ColumnElement[bool], ...]:
    # Not by the connection's own tenant, which a row of the release before lacks.
    return _ROWS.c.attendee == attendee, digest(_ROWS.c.attendee) == digest(literal(attendee))


def _is_of_connection() -> ColumnElement[bool]:
    return and_(_STREAMS.c.meeting_id == _ROWS.c.meeting_id, _STREAMS.c.connection_id == _ROWS.c.connection_id)


def _in_json(row: RowMapping) -> dict[str, Any]:
    return json_values(camel_cased(dict(row)))
