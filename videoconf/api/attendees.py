"""``/session/{meetingLinkId}/attendees`` and ``…/attendance``: who is, and who was, at a meeting, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import marshmallow
from flask import Response
from marshmallow import fields
from marshmallow.validate import Range

from videoconf.api.answers import json_array, json_bytes, spooled
from videoconf.api.authentication import caller, requires
from videoconf.api.csv_lines import AS_CSV, CONTENT_TYPE, csv_lines
from videoconf.api.fields import Schema, StrictBoolean, StrictInteger, StrictNumber, UtcTime, documented
from videoconf.api.http import preferred_type
from videoconf.api.openapi import Tag
from videoconf.api.pagination import MAX_PAGE
from videoconf.api.permissions import Permission
from videoconf.api.services import services
from videoconf.api.smorest import LIST_HEADERS, Blueprint, ListArgs, ListRequest
from videoconf.attendance.presence import Attendee, Connection, Span
from videoconf.attendance.queries import BY_ID, AttendeeList, Report, note_export
from videoconf.attendance.report import PresenceRule, Row
from videoconf.db.keyset import COUNTED, Listed

blueprint = Blueprint("attendees", __name__, tag=Tag.SESSIONS)


class AttendeeArgs(ListArgs):
    """Which attendees, and which part of them; the whole list, as documented, without `page`, `limit` and `cursor`."""

    active = StrictBoolean(load_default=None, metadata=documented("Connected now, or not; absent: all."))
    streams = StrictBoolean(
        load_default=None, metadata=documented("Whether each connection has `streams`; absent: it does not.")
    )
    page = StrictInteger(
        validate=Range(1, MAX_PAGE),
        load_default=None,
        metadata=documented("A page of the first 10,000 attendees, with totals. Not with `limit` or `cursor`."),
    )


class StreamSchema(Schema):
    """A media stream of a connection, by the latest events about it.

    The connection sends it from `publishedOn` until it leaves, or until `goneOn` where that is not earlier.
    """

    id = fields.String(metadata=documented("The provider's id of the stream.", "camera"))
    published_on = UtcTime(
        allow_none=True, metadata=documented("The latest report that it was published; null: only its end is known.")
    )
    gone_on = UtcTime(
        allow_none=True, metadata=documented("The latest report that it was gone; null: no event reported it.")
    )


class ConnectionSchema(Schema):
    """One continuous presence."""

    SOMETIMES_ABSENT = ("streams",)

    id = fields.String(metadata=documented("The provider's id of the connection."))
    joined = UtcTime(allow_none=True, metadata=documented("Null where only the leave is known."))
    left = UtcTime(allow_none=True, metadata=documented("Null while connected."))
    reason = fields.String(allow_none=True, metadata=documented("Why it ended, in the provider's word."))
    inferred = fields.Boolean(
        metadata=documented("The service inferred the leave, for example from the meeting's end.")
    )
    join_inferred = fields.Boolean(metadata=documented("The service inferred the join from the first activity."))
    streams = fields.List(
        fields.Nested(StreamSchema),
        metadata=documented("What it sent, as far as events reported it. Absent without `streams=true`."),
    )


class AttendeeSchema(Schema):
    """A person with all their connections, or one anonymous connection."""

    attendee = fields.String(allow_none=True, metadata=documented("Stable id of the person; null: anonymous."))
    name = fields.String(allow_none=True, metadata=documented("Display name."))
    session_id = fields.String(allow_none=True, metadata=documented("The provider's session."))
    is_deleted = fields.Boolean(metadata=documented("Not connected now."))
    created_on = UtcTime(allow_none=True, metadata=documented("First join."))
    modified_on = UtcTime(metadata=documented("Last evidence."))
    active = fields.Boolean(metadata=documented("Connected now."))
    duration_seconds = fields.Integer(metadata=documented("Time there, overlaps counted once."))
    connections = fields.List(fields.Nested(ConnectionSchema))


@blueprint.route("/session/<string:meeting_link_id>/attendees", methods=["GET"])
@requires(Permission.GET_MEETING_ATTENDEES)
@blueprint.arguments(AttendeeArgs, location="query")
@blueprint.response(200, AttendeeSchema(many=True), headers=LIST_HEADERS)
@blueprint.doc(operationId=f"{Tag.SESSIONS}.getAttendeesList")
def list_attendees(args: dict[str, Any], meeting_link_id: str) -> Response:
    """List the attendees of a meeting by first join, each with all their connections.

    Without `page`, `limit` and `cursor` it is the whole list. By `cursor`, attendees come in the order of their ids,
    anonymous ones first: late evidence can move a first join, and the walk would miss the attendee.
    """
    attendance, active, streams = services().attendance, args["active"], args["streams"] is True
    if args["page"] is None and args["limit"] is None and args["cursor"] is None:
        with attendance.whole(caller(), meeting_link_id, active=active, streams=streams) as listed:
            return spooled(_json_list(listed), "application/json")
    asked = ListRequest(args, BY_ID)
    if asked.part.offset is not None:
        listed, total = attendance.page(caller(), meeting_link_id, active=active, streams=streams, part=asked.part)
        found = Listed[Any]([], total=min(total, COUNTED), is_capped=total > COUNTED)
    else:
        listed, behind = attendance.part(caller(), meeting_link_id, active=active, streams=streams, part=asked.part)
        found = Listed([], next=behind)
    answer = spooled(_json_list(listed), "application/json")
    answer.headers.update(asked.headers(found))
    return answer


class ReportArgs(Schema):
    """What counts as having been present."""

    minimum_share = StrictNumber(
        validate=Range(0, 1), load_default=None, metadata=documented("Present: there for this part of the meeting.")
    )
    minimum_seconds = StrictInteger(
        validate=Range(0, 10**9), load_default=None, metadata=documented("Present: there for so many seconds.")
    )

    @marshmallow.validates_schema
    def check_one_rule(self, data: dict[str, Any], **kwargs: Any) -> None:
        if data["minimum_share"] is not None and data["minimum_seconds"] is not None:
            raise marshmallow.ValidationError("Give one rule, not both.", "minimumSeconds")


class SpanSchema(Schema):
    """A time without a gap during which an attendee was present."""

    joined = UtcTime()
    left = UtcTime(allow_none=True, metadata=documented("Null while they are there."))
    join_inferred = fields.Boolean(metadata=documented("The service inferred the join from the first activity."))
    leave_inferred = fields.Boolean(
        metadata=documented("The service inferred the leave, for example from the meeting's end.")
    )


class AttendanceRowSchema(Schema):
    """How long one attendee was there."""

    attendee = fields.String(allow_none=True, metadata=documented("Stable id of the person; null: anonymous."))
    name = fields.String(allow_none=True, metadata=documented("Display name."))
    present = fields.Boolean(metadata=documented("By the requested rule; without a rule, true for every attendee."))
    active = fields.Boolean(metadata=documented("Connected now."))
    total_seconds = fields.Integer(metadata=documented("Time there, overlaps counted once."))
    share = fields.Float(metadata=documented("Part of the meeting's length, 0 to 1, to four digits."))
    join_count = fields.Integer(metadata=documented("Connections."))
    first_join = UtcTime(allow_none=True)
    last_leave = UtcTime(allow_none=True, metadata=documented("Null while connected."))
    intervals = fields.List(fields.Nested(SpanSchema), metadata=documented("Overlapping connections are one."))


class AttendanceSchema(Schema):
    """The attendance of a meeting."""

    session_id = fields.String(allow_none=True, metadata=documented("The provider's session."))
    started_on = UtcTime(allow_none=True, metadata=documented("The first join of all."))
    ended_on = UtcTime(
        allow_none=True, metadata=documented("The last leave of all; null while an attendee is present.")
    )
    duration_seconds = fields.Integer(metadata=documented("The meeting's length: the time with anybody there."))
    attendee_count = fields.Integer()
    connection_count = fields.Integer()
    peak_concurrency = fields.Integer(metadata=documented("The most attendees at one moment."))
    peak_on = UtcTime(allow_none=True, metadata=documented("The first such moment."))
    attendees = fields.List(fields.Nested(AttendanceRowSchema))


@blueprint.route("/session/<string:meeting_link_id>/attendance", methods=["GET"])
@requires(Permission.GET_MEETING_ATTENDEES)
@blueprint.arguments(ReportArgs, location="query")
@blueprint.response(200, AttendanceSchema)
@blueprint.doc(operationId=f"{Tag.SESSIONS}.getAttendance", responses={200: {"content": AS_CSV}})
def get_attendance(args: dict[str, Any], meeting_link_id: str) -> Response:
    """Report who was at a meeting for how long, and who counts as present.

    `Accept` chooses between `application/json` (the default) and `text/csv`, which has a line for each attendee.
    """
    content_type = preferred_type("application/json", "text/csv")
    with services().attendance.report(caller(), meeting_link_id, PresenceRule(**args)) as report:
        if content_type == "text/csv":
            rows = (row_values(row) for row in report.rows)
            answer = spooled(csv_lines(_CSV_COLUMNS, rows), CONTENT_TYPE)
            answer.headers["Content-Disposition"] = f'attachment; filename="attendance-{meeting_link_id}.csv"'
        else:
            answer = spooled(_json_report(report), "application/json")
    if content_type == "text/csv":
        note_export(caller(), meeting_link_id)
    answer.vary.add("Accept")
    return answer


# --- writing --------------------------------------------------------------------------------------------------------


def _json_list(listed: AttendeeList) -> Iterator[bytes]:
    return json_array(attendee_values(one, listed.session_id, listed.bounds.now) for one in listed.attendees)


def _json_report(report: Report) -> Iterator[bytes]:
    totals = report.totals
    head = {
        "sessionId": report.session_id,
        "startedOn": totals.started_on,
        "endedOn": totals.ended_on,
        "durationSeconds": totals.length // timedelta(seconds=1),
        "attendeeCount": totals.attendees,
        "connectionCount": totals.connections,
        "peakConcurrency": totals.peak,
        "peakOn": totals.peak_on,
    }
    yield json_bytes(head).removesuffix(b"}") + b',"attendees":'
    yield from json_array(row_values(row) for row in report.rows)
    yield b"}"


def attendee_values(attendee: Attendee, session_id: str | None, now: datetime) -> dict[str, Any]:
    """Return what callers see of an attendee."""
    active = attendee.active
    return {
        "attendee": attendee.attendee,
        "name": attendee.name,
        "sessionId": session_id,
        "isDeleted": not active,
        "createdOn": attendee.created_on,
        "modifiedOn": attendee.modified_on,
        "active": active,
        "durationSeconds": attendee.duration_seconds(now),
        "connections": list(map(_connection, attendee.connections)),
    }


def _connection(one: Connection) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": one.id,
        "joined": one.joined,
        "left": one.left,
        "reason": one.reason,
        "inferred": one.inferred,
        "joinInferred": one.join_inferred,
    }
    if one.streams is not None:
        values["streams"] = [
            {"id": stream.id, "publishedOn": stream.published_on, "goneOn": stream.gone_on} for stream in one.streams
        ]
    return values


def row_values(row: Row) -> dict[str, Any]:
    """Return what callers see of one attendee of a report."""
    return {
        "attendee": row.attendee.attendee,
        "name": row.attendee.name,
        "present": row.present,
        "active": row.attendee.active,
        "totalSeconds": row.total // timedelta(seconds=1),
        "share": round(row.share, 4),
        "joinCount": len(row.attendee.connections),
        "firstJoin": row.attendee.created_on,
        "lastLeave": row.attendee.last_leave,
        "intervals": [span_values(span) for span in row.spans],
    }


def span_values(span: Span) -> dict[str, Any]:
    """Return what callers see of one time of presence."""
    return {
        "joined": span.joined,
        "left": None if span.open else span.left,
        "joinInferred": span.join_inferred,
        "leaveInferred": span.leave_inferred,
    }


_CSV_COLUMNS = [str(field.data_key) for field in AttendanceRowSchema().fields.values()]
