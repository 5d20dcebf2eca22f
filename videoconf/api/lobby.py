"""``/session/{meetingLinkId}/lobby``: who waits to be admitted."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from videoconf.api.authentication import caller, requires
from videoconf.api.failures import fails_with
from videoconf.api.fields import Schema, StrictBoolean, UtcTime, documented
from videoconf.api.invitations import INVITATION_EXAMPLE
from videoconf.api.openapi import Tag
from videoconf.api.permissions import Permission
from videoconf.api.services import services
from videoconf.api.smorest import LIST_HEADERS, Blueprint, ListArgs, ListRequest
from videoconf.door.lobby import OLDEST_FIRST, entry_values
from videoconf.errors import LobbyAnswered, MeetingEnded
from videoconf.providers import Role

blueprint = Blueprint("lobby", __name__, tag=Tag.DOOR)


class LobbyEntrySchema(Schema):
    """A person who waits."""

    id = fields.String(metadata=documented("Names the person in paths; not a secret.", "c5XKj2nYw0eR4uTq"))
    name = fields.String(allow_none=True, metadata=documented("Display name, as the person or the invitation has it."))
    attendee = fields.String(metadata=documented("The id that they will have.", "guest-8f1c0a6be2f04c0d"))
    role = fields.String(metadata=documented("What their token will allow.", Role.PUBLISHER))
    invitation_id = fields.String(metadata=documented("By which invitation they came.", INVITATION_EXAMPLE))
    waiting_since = UtcTime()


class LobbyAnswerSchema(Schema):
    """An answer to a person who waits."""

    admit = StrictBoolean(required=True, metadata=documented("Whether they may come in."))


@blueprint.route("/session/<string:meeting_link_id>/lobby", methods=["GET"])
@requires(Permission.MODERATE_MEETING, by_control=True)
@blueprint.arguments(ListArgs, location="query")
@blueprint.response(200, LobbyEntrySchema(many=True), headers=LIST_HEADERS)
@blueprint.doc(operationId=f"{Tag.DOOR}.getLobby")
def list_lobby(args: dict[str, Any], meeting_link_id: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """List who waits to be admitted, who came first at first.

    A person who was answered, or was not heard of for 60 s, does not wait any more.
    """
    asked = ListRequest(args, OLDEST_FIRST)
    found = services().lobby.list_waiting(caller(), meeting_link_id, asked.part)
    return [entry_values(*one) for one in found.items], asked.headers(found)


@blueprint.route("/session/<string:meeting_link_id>/lobby/<string:lobby_id>", methods=["POST"])
@requires(Permission.MODERATE_MEETING, by_control=True)
@fails_with(MeetingEnded, LobbyAnswered)
@blueprint.arguments(LobbyAnswerSchema, example={"admit": True})
@blueprint.response(204)
@blueprint.doc(operationId=f"{Tag.DOOR}.answerLobby")
def answer_lobby(sent: dict[str, Any], meeting_link_id: str, lobby_id: str) -> None:
    """Admit or refuse a person who waits. Their page learns of it with its next `POST /join/ticket`.

    Repeating an answer changes nothing; another answer than before is 409 `lobby_answered`. A person who was refused
    may ask again, with another place in the lobby.
    """
    services().lobby.answer(caller(), meeting_link_id, lobby_id, admit=sent["admit"])
