"""Explain in words why an attendee shows as present or absent: the evidence, the law that decided, and the result.

The laws are those of :mod:`videoconf.attendance.presence`, which decides; this module has the words. The command line
and ``GET /session/{id}/explanation`` use the same functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from videoconf.attendance.presence import Bounds, Connection, Evidence, Law, Stream, gather_attendees
from videoconf.formats import utc_text


@dataclass(frozen=True)
class Closing:
    """What may have ended every connection of a meeting."""

    room_closed: datetime | None
    """When the provider reported that the room closed."""
    meeting_ended: datetime | None


@dataclass(frozen=True)
class ConnectionExplanation:
    """Why one connection counts as present or left."""

    id: str
    joined: datetime | None
    left: datetime | None
    law: Law
    evidence: list[str]
    """Everything that is known of the connection, a sentence each."""
    decision: str
    """The law that decided, and why the laws before it did not."""
    result: str


@dataclass(frozen=True)
class Explanation:
    """Why an attendee shows as present or absent."""

    meeting_link: str
    attendee: str | None
    name: str | None
    active: bool
    explained_on: datetime
    result: str
    connections: list[ConnectionExplanation]


def explain_attendee(
    link: str, rows: list[Evidence], streams: Mapping[str, Sequence[Stream]], bounds: Bounds, closing: Closing
) -> Explanation:
    """Explain one attendee.

    :param rows: the evidence of all connections of this attendee, at least one.
    :param streams: what events reported of their streams, by connection.
    """
    [attendee] = gather_attendees(rows, bounds)
    by_id = {row.connection_id: row for row in rows}
    explained = [_explain(by_id[one.id], one, streams.get(one.id, ()), bounds, closing) for one in attendee.connections]
    who = attendee.attendee or f"The anonymous participant of connection {attendee.connections[0].id}"
    count = len(explained)
    if attendee.active:
        here = sum(one.left is None for one in explained)
        result = f"{who} is present: {here} of {count} {_plural('connection', count)} shows no leave."
    else:
        last = utc_text(attendee.last_leave) if attendee.last_leave else "an unknown time"
        result = f"{who} is not present: each of {count} {_plural('connection', count)} has left, the last at {last}."
    return Explanation(link, attendee.attendee, attendee.name, attendee.active, bounds.now, result, explained)


def lines_of(explanation: Explanation) -> Iterator[str]:
    """Write an explanation as lines for people."""
    yield explanation.result
    for one in explanation.connections:
        yield ""
        yield f"Connection {one.id}"
        yield from (f"  Evidence: {sentence}" for sentence in one.evidence)
        yield f"  Decided:  {one.decision}"
        yield f"  Result:   {one.result}"


def _explain(
    evidence: Evidence, one: Connection, streams: Sequence[Stream], bounds: Bounds, closing: Closing
) -> ConnectionExplanation:
    facts = [*_facts(evidence, closing), *map(_fact_of_stream, streams)]
    return ConnectionExplanation(
        one.id, one.joined, one.left, one.law, facts, _decision(evidence, one, bounds, closing), _result(one)
    )


def _facts(evidence: Evidence, closing: Closing) -> Iterator[str]:
    first, last = evidence.first_join, evidence.last_join
    if first is not None and last is not None:
        again = f", and the latest join is of {utc_text(last)}" if last != first else ""
        yield f"The provider reported a join at {utc_text(first)}{again}."
    else:
        yield "The provider reported no join."
    if evidence.first_activity is not None:
        yield f"The first activity of the connection was at {utc_text(evidence.first_activity)}."
    if evidence.last_leave is not None:
        why = f" with the reason {evidence.leave_reason!r}" if evidence.leave_reason else ""
        yield f"The provider reported a leave at {utc_text(evidence.last_leave)}{why}."
    else:
        yield "The provider reported no leave."
    yield f"The latest evidence is of {utc_text(evidence.last_evidence)}."
    if evidence.absent_on is not None:
        yield (f"The provider's roster lacked the connection twice in a row, first at {utc_text(evidence.absent_on)}.")
    if closing.room_closed is not None:
        yield f"The provider reported that the room closed at {utc_text(closing.room_closed)}."
    if closing.meeting_ended is not None:
        yield f"The meeting was ended at {utc_text(closing.meeting_ended)}."


def _fact_of_stream(stream: Stream) -> str:
    times = {"published": stream.published_on, "gone": stream.gone_on}
    reports = [f"as {what} at {utc_text(at)}" for what, at in times.items() if at is not None]
    return f"The provider last reported stream {stream.id!r} {' and '.join(reports)}."


def _decision(evidence: Evidence, one: Connection, bounds: Bounds, closing: Closing) -> str:
    why = _why(evidence, bounds, closing)[one.law]
    if one.law is Law.LEFT:
        return why
    return f"{_why_not_left(evidence)} {why}"


def _why_not_left(evidence: Evidence) -> str:
    if evidence.last_leave is None:
        return "No leave was reported, so law 1 does not apply."
    return "A join is later than the reported leave, so law 1 does not apply: the connection came back."


def _why(evidence: Evidence, bounds: Bounds, closing: Closing) -> dict[Law, str]:
    hours = f"{bounds.cap / timedelta(hours=1):g} h"
    later = "the meeting's end"
    if closing.room_closed is not None and closing.room_closed == bounds.closed_at:
        later = "the room's closing"
    earliest = "It is the earliest of the ends that hold."
    return {
        Law.LEFT: "Law 1: the provider reported a leave, and no later join.",
        Law.CLOSED: f"Law 2, closing: the connection was there at or before {later}, which ends it. {earliest}",
        Law.ABSENT: (
            "Law 2, roster: the provider's list of connections lacked it twice in a row, and no evidence is later."
            f" {earliest}"
        ),
        Law.SILENT: (
            f"Law 2, silence: no evidence came for {hours} (VIDEOCONF_CONNECTION_CAP_HOURS), after which a connection"
            f" counts as gone. {earliest}"
        ),
        Law.PRESENT: f"Law 3: no law says that it has left, so it is there. {_still_there(evidence, bounds, hours)}",
    }


def _still_there(evidence: Evidence, bounds: Bounds, hours: str) -> str:
    """Explain why each part of law 2 does not apply."""
    reasons = []
    if bounds.closed_at is None:
        reasons.append("neither was the meeting ended nor did the room close")
    else:
        reasons.append("it was not there yet when the meeting ended or the room closed")
    if evidence.absent_on is None:
        reasons.append("no roster lacked it twice in a row")
    else:
        reasons.append("evidence came after the rosters that lacked it")
    cap_passes = utc_text(evidence.last_evidence + bounds.cap)
    return f"{'; '.join(reasons).capitalize()}; without new evidence it counts as gone at {cap_passes} ({hours})."


def _result(one: Connection) -> str:
    if one.joined is None:
        joined = "Its join is unknown (law 4: only a leave was reported)"
    elif one.join_inferred:
        joined = f"It joined at {utc_text(one.joined)}, inferred from its first activity (law 4)"
    else:
        joined = f"It joined at {utc_text(one.joined)}, the first reported join (law 4)"
    if one.left is None:
        return f"{joined}, and is there now."
    inferred = ", inferred" if one.inferred else ""
    reason = f", reason {one.reason!r}" if one.reason else ""
    return f"{joined}, and left at {utc_text(one.left)}{inferred}{reason}."


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"
