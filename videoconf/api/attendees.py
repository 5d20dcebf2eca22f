"""``/session/{meetingLinkId}/attendees``: who is, and who was, at a meeting."""

from __future__ import annotations

from typing import Any

from marshmallow import fields
from marshmallow.validate import Range

from videoconf.api.auth import caller, requires
from videoconf.api.blueprint import PAGE_HEADERS, Blueprint, page_headers
from videoconf.api.fields import Schema, StrictBoolean, StrictInteger, UtcTime
from videoconf.api.meeting_schemas import documented
from videoconf.api.openapi import Tag
from videoconf.api.paging import DEFAULT_PAGE_SIZE, MAX_PAGE, MAX_PAGE_SIZE
from videoconf.api.permissions import Permission
from videoconf.api.services import services

blueprint = Blueprint("attendees", __name__, tag=Tag.SESSIONS)


class AttendeeArgs(Schema):
    """Which attendees, and which page of them."""

    active = StrictBoolean(load_default=None, metadata=documented("Connected now, or not; absent: all."))
    page = StrictInteger(
        validate=Range(1, MAX_PAGE), load_default=None, metadata=documented("Absent: the whole list, as documented.")
    )
    page_size = StrictInteger(validate=Range(1, MAX_PAGE_SIZE), load_default=DEFAULT_PAGE_SIZE)


class ConnectionSchema(Schema):
    """One continuous presence."""

    id = fields.String(metadata=documented("The provider's id of the connection."))
    joined = UtcTime(allow_none=True, metadata=documented("Null where only the leave is known."))
    left = UtcTime(allow_none=True, metadata=documented("Null while connected."))
    reason = fields.String(allow_none=True, metadata=documented("Why it ended, in the provider's word."))
    inferred = fields.Boolean(metadata=documented("The leave follows from the end of the room or the meeting."))


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
@blueprint.response(200, AttendeeSchema(many=True), headers=PAGE_HEADERS)
@blueprint.doc(operationId=f"{Tag.SESSIONS}.getAttendeesList")
def list_attendees(args: dict[str, Any], meeting_link_id: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """List the attendees of a meeting by first join, each with all their connections."""
    parts = services()
    meeting, attendees = parts.meetings.attendees(caller(), meeting_link_id, active=args["active"])
    headers = {}
    if (page := args["page"]) is not None:
        page_size = args["page_size"]
        headers = page_headers(page, page_size, len(attendees))
        attendees = attendees[(page - 1) * page_size : page * page_size]
    now = parts.clock()
    items = [
        {
            **vars(attendee),
            "session_id": meeting.session_id,
            "is_deleted": not attendee.active,
            "active": attendee.active,
            "duration_seconds": attendee.duration_seconds(now),
        }
        for attendee in attendees
    ]
    return items, headers
