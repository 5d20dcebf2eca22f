"""``/session``: the meeting's life. Views parse, ask the domain, and dump."""

from __future__ import annotations

import json
from typing import Any

from flask import Response, url_for

from videoconf.api.authentication import caller, requires
from videoconf.api.json_body import idempotency_key, preferred_type
from videoconf.api.meeting_schemas import (
    MeetingTokenSchema,
    NewMeetingSchema,
    TokenWishSchema,
    VideoChatSessionPartialSchema,
)
from videoconf.api.openapi import Tag
from videoconf.api.permissions import Permission
from videoconf.api.services import services
from videoconf.api.smorest import PAGE_HEADERS, Blueprint, PageArgs, page_headers
from videoconf.meetings import queries
from videoconf.meetings.create import NewMeeting
from videoconf.meetings.join import IssuedToken, TokenWish
from videoconf.meetings.models import Meeting
from videoconf.providers import Role

blueprint = Blueprint("meetings", __name__, tag=Tag.SESSIONS)

EDITABLE = ("is_scheduled", "schedule_time", "ext_id", "ext_metadata")


IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key with the same body gives the same meeting for at least 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-+.-~-]+$"},
}


@blueprint.route("/session", methods=["POST"])
@requires(Permission.CREATE_MEETING_SESSION)
@blueprint.arguments(NewMeetingSchema)
@blueprint.alt_response(409, "CONFLICT")
@blueprint.response(200, {"type": "string"}, content_type="text/plain", example='"pX3mJ5v0Qy2cZ1tB7kLw9A"')
@blueprint.doc(operationId=f"{Tag.SESSIONS}.getMeetingLink", parameters=[IDEMPOTENCY_KEY])
def create_meeting(new: dict[str, Any]) -> Response:
    """Create a meeting; the answer is its link id as a JSON string.

    Without a body, a meeting that starts now. `Accept` chooses between `text/plain` (the default) and
    `application/json`; the body is the same.
    """
    content_type = preferred_type("text/plain", "application/json")
    link = services().creation.create(caller(), NewMeeting(**new), idempotency_key())
    response = Response(json.dumps(link), content_type=content_type)
    response.headers["Location"] = url_for("meetings.get_meeting", meeting_link_id=link)
    return response


@blueprint.route("/session", methods=["GET"])
@requires(Permission.GET_MEETINGS)
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, VideoChatSessionPartialSchema(many=True), headers=PAGE_HEADERS)
@blueprint.doc(operationId=f"{Tag.SESSIONS}.getMeetings")
def list_meetings(args: dict[str, Any]) -> tuple[list[Meeting], dict[str, str]]:
    """List meetings, newest first, without deleted ones."""
    page, page_size = args["page"], args["page_size"]
    meetings, total = queries.list_meetings(caller(), page=page, page_size=page_size)
    return meetings, page_headers(page, page_size, total)


@blueprint.route("/session/<string:meeting_link_id>", methods=["GET"])
@requires(Permission.GET_MEETINGS)
@blueprint.response(200, VideoChatSessionPartialSchema)
@blueprint.doc(operationId=f"{Tag.SESSIONS}.getMeeting")
def get_meeting(meeting_link_id: str) -> Meeting:
    """Read a meeting, a deleted one included."""
    return queries.read_meeting(caller(), meeting_link_id)


@blueprint.route("/session/<string:meeting_link_id>", methods=["PATCH"])
@requires(Permission.EDIT_MEETING)
@blueprint.arguments(VideoChatSessionPartialSchema(partial=True))
@blueprint.response(204)
@blueprint.doc(operationId=f"{Tag.SESSIONS}.editMeeting")
def edit_meeting(sent: dict[str, Any], meeting_link_id: str) -> None:
    """Change what is sent of `isScheduled`, `scheduleTime`, `extId` and `extMetadata`.

    The other properties are the server's: they may be sent back as they were read, and stay as they are.
    """
    changes = {name: sent[name] for name in EDITABLE if name in sent}
    services().editing.edit(caller(), meeting_link_id, changes)


@blueprint.route("/session/<string:meeting_link_id>", methods=["DELETE"])
@requires(Permission.DELETE_MEETING)
@blueprint.response(204)
@blueprint.doc(operationId=f"{Tag.SESSIONS}.deleteMeeting")
def delete_meeting(meeting_link_id: str) -> None:
    """Delete a meeting softly; one that runs is ended first."""
    services().ending.delete(caller(), meeting_link_id)


@blueprint.route("/session/<string:meeting_link_id>/end", methods=["PATCH"])
@requires(Permission.STOP_MEETING)
@blueprint.response(204)
@blueprint.doc(operationId=f"{Tag.SESSIONS}.endSession")
def end_meeting(meeting_link_id: str) -> None:
    """End a meeting for everybody, at the provider too. Of any number of calls exactly one succeeds."""
    services().ending.end(caller(), meeting_link_id)


@blueprint.route("/session/<string:meeting_link_id>/token", methods=["POST"])
@requires(Permission.GENERATE_MEETING_TOKEN)
@blueprint.arguments(TokenWishSchema)
@blueprint.response(200, MeetingTokenSchema)
@blueprint.doc(operationId=f"{Tag.SESSIONS}.getMeetingToken")
def create_token(wish: dict[str, Any], meeting_link_id: str) -> IssuedToken:
    """Give one person a token to join a meeting with."""
    role = Role(wish.pop("role"))
    return services().joining.issue_token(caller(), meeting_link_id, TokenWish(role=role, **wish))
