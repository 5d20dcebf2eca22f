"""``/session/{meetingLinkId}/bans``: attendees who may not be at a meeting."""

from __future__ import annotations

from typing import Any

import marshmallow
from marshmallow import fields

from videoconf.api.authentication import caller, requires
from videoconf.api.failures import fails_with
from videoconf.api.fields import Schema, Text, UtcTime, documented
from videoconf.api.openapi import Tag
from videoconf.api.permissions import Permission
from videoconf.api.services import services
from videoconf.api.smorest import LIST_HEADERS, Blueprint, ListArgs, ListRequest
from videoconf.errors import CapabilityUnsupported, ConnectionNotFound, MeetingEnded, ProviderNotEnabled
from videoconf.meetings.bans import BY_ID, NewBan, ban_values

blueprint = Blueprint("bans", __name__, tag=Tag.DOOR)


class NewBanSchema(Schema):
    """Whom to ban."""

    attendee = Text(
        max_length=1000,
        min_length=1,
        load_default=None,
        allow_none=True,
        metadata=documented("Stable id of the person, also one who was never there.", "u-7"),
    )
    connection_id = Text(
        max_length=255,
        min_length=1,
        load_default=None,
        allow_none=True,
        metadata=documented("In place of `attendee`: who has, or had, this connection."),
    )
    reason = Text(
        max_length=255,
        load_default=None,
        allow_none=True,
        metadata=documented("For moderators alone: the event does not have it."),
    )

    @marshmallow.validates_schema
    def check_one_person(self, data: dict[str, Any], **kwargs: Any) -> None:
        if (data["attendee"] is None) == (data["connection_id"] is None):
            raise marshmallow.ValidationError("Give either attendee or connectionId.", "attendee")


class BanSchema(Schema):
    """A ban."""

    id = fields.String(metadata=documented("Names the ban in paths.", "n7Fq2LxVb0sYk3Td"))
    attendee = fields.String(metadata=documented("Who is banned.", "u-7"))
    reason = fields.String(allow_none=True)
    created_on = UtcTime()
    created_by = fields.String(
        metadata=documented("The `sub` of a token, or the attendee id of a moderator; empty once they were erased.")
    )


@blueprint.route("/session/<string:meeting_link_id>/bans", methods=["POST"])
@requires(Permission.MODERATE_MEETING, by_control=True)
@fails_with(MeetingEnded, CapabilityUnsupported, ConnectionNotFound, ProviderNotEnabled)
@blueprint.arguments(NewBanSchema, example={"attendee": "u-7", "reason": "Disturbs the lesson"})
@blueprint.response(201, BanSchema)
@blueprint.doc(operationId=f"{Tag.DOOR}.banAttendee")
def ban_attendee(new: dict[str, Any], meeting_link_id: str) -> dict[str, Any]:
    """Ban an attendee from a meeting, until it ends or the ban is lifted.

    They are disconnected, get no token, are admitted by no invitation, seat or ticket, and are disconnected again when
    they connect with a token that they had before. Banning a banned attendee returns the first ban. The ban holds an
    attendee id: a person who opens a shared link in a fresh browser is a new guest. Revoke the link, or make links that
    ask for admission.
    """
    return ban_values(services().bans.ban(caller(), meeting_link_id, NewBan(**new)))


@blueprint.route("/session/<string:meeting_link_id>/bans", methods=["GET"])
@requires(Permission.MODERATE_MEETING, by_control=True)
@blueprint.arguments(ListArgs, location="query")
@blueprint.response(200, BanSchema(many=True), headers=LIST_HEADERS)
@blueprint.doc(operationId=f"{Tag.DOOR}.getBans")
def list_bans(args: dict[str, Any], meeting_link_id: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """List who is banned from a meeting, newest ban first."""
    asked = ListRequest(args, BY_ID)
    found = services().bans.list_bans(caller(), meeting_link_id, asked.part)
    return [ban_values(one) for one in found.items], asked.headers(found)


@blueprint.route("/session/<string:meeting_link_id>/bans/<string:ban_id>", methods=["DELETE"])
@requires(Permission.MODERATE_MEETING, by_control=True)
@blueprint.response(204)
@blueprint.doc(operationId=f"{Tag.DOOR}.liftBan")
def lift_ban(meeting_link_id: str, ban_id: str) -> None:
    """Lift a ban: the attendee may come in again, by the invitation and the seat that they had."""
    services().bans.lift(caller(), meeting_link_id, ban_id)
