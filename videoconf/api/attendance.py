"""``/attendance``: attendance across meetings, by person or by the beginning of the meetings' own ids."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Response
from marshmallow import ValidationError, fields

from videoconf.api.answers import json_array, spooled
from videoconf.api.attendees import SpanSchema, span_values
from videoconf.api.authentication import caller, requires
from videoconf.api.csv_lines import AS_CSV, CONTENT_TYPE, csv_lines
from videoconf.api.failures import fails_with
from videoconf.api.fields import LINK_EXAMPLE, Schema, Text, UtcTime, documented
from videoconf.api.http import preferred_type
from videoconf.api.openapi import Tag
from videoconf.api.permissions import Permission
from videoconf.api.services import services
from videoconf.api.smorest import Blueprint
from videoconf.attendance.across import Attended
from videoconf.attendance.queries import note_export
from videoconf.errors import FilterCombination

blueprint = Blueprint("attendance", __name__, tag=Tag.SESSIONS)


class AcrossArgs(Schema):
    """Whose attendance, or that of which meetings."""

    attendee = Text(
        min_length=1,
        max_length=1000,
        load_default=None,
        metadata=documented("A person: their time in each meeting.", "u-7"),
    )
    ext_id_prefix = Text(
        min_length=1,
        max_length=255,
        load_default=None,
        metadata=documented("The beginning of meetings' `extId`: each attendee of each of them."),
    )
    since = UtcTime(data_key="from", load_default=None, metadata=documented("Meetings created at this time or later."))
    until = UtcTime(data_key="to", load_default=None, metadata=documented("Meetings created before this time."))


class AttendedSchema(Schema):
    """How long one attendee was at one meeting."""

    meeting_link = fields.String(metadata=documented("The meeting.", LINK_EXAMPLE))
    ext_id = fields.String(allow_none=True, metadata=documented("Your own id of the meeting."))
    created_on = UtcTime(metadata=documented("When the meeting was created."))
    attendee = fields.String(allow_none=True, metadata=documented("Stable id of the person; null: anonymous."))
    name = fields.String(allow_none=True, metadata=documented("Display name."))
    active = fields.Boolean(metadata=documented("Connected now."))
    total_seconds = fields.Integer(metadata=documented("Time there, overlaps counted once."))
    share = fields.Float(
        allow_none=True, metadata=documented("Part of the meeting's length, to four digits; null with `attendee`.")
    )
    join_count = fields.Integer(metadata=documented("Connections."))
    first_join = UtcTime(allow_none=True)
    last_leave = UtcTime(allow_none=True, metadata=documented("Null while connected."))
    intervals = fields.List(fields.Nested(SpanSchema), metadata=documented("Overlapping connections are one."))


MOST_LINKS = 100


def links_of(text: str) -> list[str]:
    """Split links with commas between them; a repeated one counts once."""
    return list(dict.fromkeys(text.split(",")))


def check_links(text: str) -> None:
    if "" in (links := links_of(text)) or len(links) > MOST_LINKS:
        raise ValidationError(f"Must be 1 to {MOST_LINKS} links with commas between them.")


class PeopleNowArgs(Schema):
    """At which meetings."""

    meeting_links = Text(
        max_length=4096,
        validate=check_links,
        required=True,
        metadata=documented("At most 100, with commas between them.", LINK_EXAMPLE),
    )


class PeopleNowSchema(Schema):
    """How many people are at each meeting."""

    people = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata=documented("People who are connected now, by the meeting's link; unknown links are left out."),
    )


@blueprint.route("/attendance/now", methods=["GET"])
@requires(Permission.GET_MEETING_ATTENDEES)
@blueprint.arguments(PeopleNowArgs, location="query")
@blueprint.response(200, PeopleNowSchema)
@blueprint.doc(operationId=f"{Tag.SESSIONS}.getPeopleNow")
def get_people_now(args: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Count the people who are at each of these meetings now, as the list of attendees has them."""
    return {"people": services().people_now.count(caller(), links_of(args["meeting_links"]))}


@blueprint.route("/attendance", methods=["GET"])
@requires(Permission.GET_MEETING_ATTENDEES)
@blueprint.arguments(AcrossArgs, location="query")
@blueprint.response(200, AttendedSchema(many=True))
@fails_with(FilterCombination)
@blueprint.doc(operationId=f"{Tag.SESSIONS}.getAttendanceAcross", responses={200: {"content": AS_CSV}})
def get_attendance_across(args: dict[str, Any]) -> Response:
    """Report a person's time in each meeting, or all attendees of the meetings whose `extId` begins alike.

    Give `attendee` or `extIdPrefix`. Meetings come newest first, without deleted ones. The answer is the whole list,
    written as it is read. `Accept` chooses between `application/json` (the default) and `text/csv`.
    """
    attendee, prefix = args["attendee"], args["ext_id_prefix"]
    if (attendee is None) == (prefix is None):
        raise FilterCombination("Give attendee or extIdPrefix, and not both; from and to go with each.")
    content_type = preferred_type("application/json", "text/csv")
    across = services().across
    found = (
        across.of_meetings(caller(), prefix, args["since"], args["until"])
        if attendee is None
        else across.of_person(caller(), attendee, args["since"], args["until"])
    )
    with found as attended:
        rows = (_values(one) for one in attended)
        if content_type == "text/csv":
            answer = spooled(csv_lines(_COLUMNS, rows), CONTENT_TYPE)
            answer.headers["Content-Disposition"] = 'attachment; filename="attendance.csv"'
        else:
            answer = spooled(json_array(rows), "application/json")
    if content_type == "text/csv":
        note_export(caller(), None, of_person=attendee)
    answer.vary.add("Accept")
    return answer


_COLUMNS = [str(field.data_key) for field in AttendedSchema().fields.values()]


def _values(one: Attended) -> dict[str, Any]:
    attendee = one.attendee
    return {
        "meetingLink": one.meeting_link,
        "extId": one.ext_id,
        "createdOn": one.created_on,
        "attendee": attendee.attendee,
        "name": attendee.name,
        "active": attendee.active,
        "totalSeconds": one.total // timedelta(seconds=1),
        "share": None if one.share is None else round(one.share, 4),
        "joinCount": len(attendee.connections),
        "firstJoin": attendee.created_on,
        "lastLeave": attendee.last_leave,
        "intervals": [span_values(span) for span in attendee.spans(one.now)],
    }
