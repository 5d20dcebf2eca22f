"""Turn changes into events: compute what GET returns for the changed parts, and report the differences.

One transaction deletes the change rows, reads the answers, compares them with what was reported last, writes the
events and advances the log. It deletes the change rows first, so that the answers are at least as new as the rows. The
lock of the meeting keeps two projectors from comparing the same meeting. The transaction takes the lock of the log's
single row last and holds it until the commit. So positions have the order of commits, and a reader misses no event.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property
from typing import Any

from sqlalchemy import BigInteger, Insert, bindparam, column, delete, func, insert, literal, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from videoconf.db.functions import utc_now
from videoconf.db.transactions import dialect_of, read, write
from videoconf.db.upsert import upserts
from videoconf.errors import DatabaseUnavailable
from videoconf.events.answers import Answers, MeetingAnswer
from videoconf.events.changes import EVERYTHING, MEETING, note_change
from videoconf.events.erasure import forget_connections
from videoconf.events.models import PLANT, Change, Event, EventLog, ReportedPart
from videoconf.events.reported import Reported, Row, Step, archive_steps, attendee_steps, meeting_steps
from videoconf.events.subscription_models import EventSubscription
from videoconf.events.types import EventType
from videoconf.observability.metrics import EVENTS_PROJECTED

logger = logging.getLogger(__name__)

CHANGES_AT_ONCE = 1000
MEETINGS_AT_ONCE = 20
"""Meetings of one transaction. More would hold the locks longer, fewer would commit more often."""
EVENTS_AT_ONCE = 1000
"""Events of one meeting in one transaction. What is left is another change of everything."""
PAUSE_SECONDS = 60.0
"""For how long a meeting that cannot be projected is left alone, so that it delays no other."""

_CHANGES: Any = Change.__table__
_EVENTS: Any = Event.__table__
_PARTS: Any = ReportedPart.__table__
_LOG: Any = EventLog.__table__
_SUBSCRIPTIONS: Any = EventSubscription.__table__


class Projector:
    """Writes events. One instance serves all threads; several processes may project at once."""

    def __init__(self, make_answers: Callable[[], Answers]) -> None:
        self._make_answers = make_answers
        self._paused: dict[int, float] = {}

    @cached_property
    def answers(self) -> Answers:
        """What GET answers. Made when it is first used, because it takes long to import."""
        return self._make_answers()

    def run(self) -> int:
        """Project until no change waits; return how many changes were projected."""
        projected = 0
        while (some := self.run_once()) > 0:
            projected += some
        return projected

    def run_once(self) -> int:
        """Project the oldest changes; return how many were, 0 where none waits or another projector has them."""
        self._paused = {one: until for one, until in self._paused.items() if until > time.monotonic()}
        with read() as session:
            waiting = session.execute(
                select(_CHANGES.c.meeting_id, _CHANGES.c.id)
                .where(_CHANGES.c.meeting_id.not_in(list(self._paused)))
                .order_by(_CHANGES.c.id)
                .limit(CHANGES_AT_ONCE)
            ).all()
        by_meeting: dict[int, list[int]] = defaultdict(list)
        for meeting_id, change_id in waiting:
            by_meeting[meeting_id].append(change_id)
        meetings, projected = list(by_meeting), 0
        for first in range(0, len(meetings), MEETINGS_AT_ONCE):
            some = {one: by_meeting[one] for one in meetings[first : first + MEETINGS_AT_ONCE]}
            projected += self._project_or_pause(some)
        return projected

    def _project_or_pause(self, changes: dict[int, list[int]]) -> int:
        try:
            return self._project(changes)
        except DatabaseUnavailable:
            raise  # no meeting is to blame
        except Exception:
            if len(changes) > 1:  # find the one that fails, and project the others
                return sum(self._project_or_pause({one: ids}) for one, ids in changes.items())
            [meeting_id] = changes
            self._paused[meeting_id] = time.monotonic() + PAUSE_SECONDS
            logger.exception("the changes of meeting %s could not be projected, and are retried", meeting_id)
            return 0

    def _project(self, changes: dict[int, list[int]]) -> int:
        with write() as session:
            locked = _lock_meetings(session, sorted(changes))
            ids = [one for meeting_id in locked for one in changes[meeting_id]]
            if not ids:
                return 0
            taken = session.execute(
                delete(_CHANGES)
                .where(_CHANGES.c.id.in_(ids))
                .returning(_CHANGES.c.id, _CHANGES.c.meeting_id, _CHANGES.c.part, _CHANGES.c.data)
            ).all()
            by_meeting: dict[int, list[Any]] = defaultdict(list)
            for change in sorted(taken, key=lambda one: one.id):
                by_meeting[change.meeting_id].append(change)
            events: list[dict[str, Any]] = []
            for meeting_id, theirs in by_meeting.items():
                events += self._project_meeting(session, meeting_id, theirs)
            _append(session, events)
        for event in events:
            EVENTS_PROJECTED.labels(event["type"]).inc()
        return len(taken)

    def _project_meeting(self, session: Session, meeting_id: int, changes: Sequence[Any]) -> list[dict[str, Any]]:
        """Store what is now reported of a meeting; return its events, without their positions."""
        meeting = self.answers.meeting(session, meeting_id)
        if meeting is None:
            return []
        reported = Reported(session, meeting_id)
        reported.load([MEETING])
        parts = {change.part for change in changes if change.data is None}
        steps = self._steps(session, meeting, reported, parts)
        facts = [(EventType(change.part), change.data) for change in changes if change.data is not None]
        before = reported.row(MEETING)
        sequence, has_started = (0, False) if before is None else (before.sequence, before.has_started)
        told: list[tuple[EventType, dict[str, Any]]] = []
        stored: list[Step] = []
        for step in steps:
            if len(told) >= EVENTS_AT_ONCE and step is not steps[-1]:
                continue
            for type, data in step.events:
                if type is EventType.ATTENDEE_JOINED and not has_started:
                    told.append((EventType.MEETING_STARTED, meeting.data))
                    has_started = True
                told.append((type, data))
            stored.append(step)
        if len(stored) < len(steps):
            note_change(session, meeting_id, EVERYTHING)
        told += facts
        _store(session, meeting_id, stored, meeting, sequence + len(told), has_started=has_started)
        return [
            {
                "id": f"evt_{secrets.token_hex(12)}",
                "type": type.value,
                "tenant": meeting.tenant,
                "meeting_link": meeting.link,
                "ext_id": meeting.ext_id,
                "sequence": sequence + number,
                "data": data,
            }
            for number, (type, data) in enumerate(told, start=1)
        ]

    def _steps(
        self, session: Session, meeting: MeetingAnswer, reported: Reported, parts: Collection[str]
    ) -> list[Step]:
        before = reported.data(MEETING)
        connections: set[str] | None = _names(parts, "connection:") | _names(parts, "erased:")
        archives: set[str] | None = _names(parts, "archive:")
        # A meeting of which nothing was reported may be older than the log; and each item shows the session.
        shown = ("sessionId", "uploadTarget")
        if EVERYTHING in parts or before is None or any(before[name] != meeting.data[name] for name in shown):
            connections = archives = None
        erased = _names(parts, "erased:")
        if erased:
            forget_connections(session, meeting.tenant, meeting.link, erased)
        steps: list[Step] = []
        if connections is None or connections:
            steps += attendee_steps(session, self.answers, meeting, reported, connections, erased)
        if archives is None or archives:
            steps += archive_steps(session, self.answers, meeting, reported, archives)
        first, last = meeting_steps(reported, meeting)
        return [first, *steps, last]


def _names(parts: Iterable[str], prefix: str) -> set[str]:
    return {part.removeprefix(prefix) for part in parts if part.startswith(prefix)}


def _lock_meetings(session: Session, meetings: Sequence[int]) -> list[int]:
    """Lock meetings until the transaction ends, and return those that no other projector has locked."""
    if dialect_of(session) != "postgresql":
        return list(meetings)  # the transaction is the lock
    wanted = func.unnest(literal(list(meetings), _IDS)).table_valued(column("id", BigInteger)).render_derived()
    key = func.hashtextextended(func.concat("events:", wanted.c.id), 0)
    return list(session.execute(select(wanted.c.id).where(func.pg_try_advisory_xact_lock(key))).scalars())


def _store(
    session: Session,
    meeting_id: int,
    steps: Sequence[Step],
    meeting: MeetingAnswer,
    sequence: int,
    *,
    has_started: bool,
) -> None:
    gone = [part for step in steps for part in step.gone]
    if gone:
        session.execute(delete(_PARTS).where(_PARTS.c.meeting_id == meeting_id, _PARTS.c.part.in_(gone)))
    rows = {row.part: row for step in steps for row in step.rows}
    rows.setdefault(MEETING, Row(MEETING, meeting.data))
    values = [
        {
            **row._asdict(),
            "meeting_id": meeting_id,
            "sequence": sequence if row.part == MEETING else None,
            "has_started": has_started if row.part == MEETING else None,
        }
        for row in rows.values()
    ]
    session.execute(_REPORT[dialect_of(session)], values)


def _append(session: Session, events: Sequence[dict[str, Any]]) -> None:
    """Give the events their positions, and let subscriptions know. From here on no other projector can commit."""
    if not events:
        return
    advanced = update(_LOG).values(position=_LOG.c.position + len(events)).returning(_LOG.c.position)
    last = session.execute(advanced).scalar_one_or_none()
    if last is None:  # a restored database may lack the row
        session.execute(PLANT[dialect_of(session)])
        last = session.execute(advanced).scalar_one()
    rows = [{**event, "position": last - len(events) + place} for place, event in enumerate(events, start=1)]
    session.execute(_APPEND, rows)
    session.execute(_NOTIFY, {"newest_event": last, "tenants": sorted({event["tenant"] for event in events})})


def _report(statement: postgresql.Insert) -> Insert:
    columns = [column.name for column in _PARTS.c if not column.primary_key]
    return statement.on_conflict_do_update(
        index_elements=["meeting_id", "part"], set_={name: statement.excluded[name] for name in columns}
    )


_REPORT = upserts(_PARTS, _report)
_IDS: Any = ARRAY(BigInteger)
_APPEND = insert(_EVENTS).values(at=utc_now())
_NOTIFY = (
    update(_SUBSCRIPTIONS)
    .where(_SUBSCRIPTIONS.c.tenant.in_(bindparam("tenants", expanding=True)), _SUBSCRIPTIONS.c.is_enabled)
    .values(newest=bindparam("newest_event"))
)
