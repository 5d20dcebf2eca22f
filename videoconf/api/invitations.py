"""``/session/{meetingLinkId}/invitations``: links that let people join a meeting."""

from __future__ import annotations

from typing import Any

from flask import url_for
from marshmallow import fields, validate
from marshmallow.validate import Range

from videoconf.api.authentication import caller, requires
from videoconf.api.failures import fails_with
from videoconf.api.fields import MeetingRole, Schema, StrictInteger, Text, UtcTime, documented
from videoconf.api.http import IDEMPOTENCY_KEY, idempotency_key
from videoconf.api.openapi import Tag
from videoconf.api.permissions import Permission
from videoconf.api.services import services
from videoconf.api.smorest import LIST_HEADERS, Blueprint, ListArgs, ListRequest
from videoconf.door.invitations import BY_ID, NewInvitation
from videoconf.door.models import MOST_USES, Admission, Invitation
from videoconf.errors import (
    CapabilityUnsupported,
    IdempotencyInProgress,
    IdempotencyKeyInvalid,
    IdempotencyKeyReused,
    MeetingEnded,
    ProviderNotEnabled,
    RoleForbidden,
)
from videoconf.providers import Role

blueprint = Blueprint("invitations", __name__, tag=Tag.DOOR)

INVITATION_EXAMPLE = "Zb3kq0dV6l1sTq8P"
CODE_EXAMPLE = "qk3u7Jx0Zr9mPpWc5yT1vB8dL2nH6sGf"
MAX_USES = 1_000_000


class NewInvitationSchema(Schema):
    """An invitation to make."""

    role = MeetingRole()
    attendee = Text(
        max_length=255,
        min_length=1,
        load_default=None,
        allow_none=True,
        metadata=documented("Stable id of the person whom it is for. Null: each first exchange makes a guest.", "u-7"),
    )
    name = Text(
        max_length=255,
        load_default=None,
        allow_none=True,
        metadata=documented("Display name of the person. Null: they choose it themselves.", "Ada"),
    )
    expires_on = UtcTime(
        load_default=None,
        allow_none=True,
        metadata=documented("When first exchanges end; in the future. Who has a seat keeps it until the meeting ends."),
    )
    max_uses = StrictInteger(
        validate=Range(1, MAX_USES),
        load_default=None,
        allow_none=True,
        metadata=documented(f"First exchanges that there may be. Null: {MOST_USES}.", 1),
    )
    admission = fields.String(
        load_default=Admission.OPEN,
        validate=validate.OneOf(list(Admission)),
        metadata=documented("`open`: the link alone admits. `ask`: a moderator does, while the person waits."),
    )


class InvitationSchema(Schema):
    """An invitation. Its code is not stored, so its URL cannot be read back."""

    id = fields.String(metadata=documented("Names the invitation in paths; not a secret.", INVITATION_EXAMPLE))
    role = fields.String(metadata=documented("What its tokens allow.", Role.PUBLISHER))
    attendee = fields.String(allow_none=True, metadata=documented("Whom it is for; null: guests."))
    name = fields.String(allow_none=True, metadata=documented("Display name of the person."))
    admission = fields.String(metadata=documented("Who admits.", enum=list(Admission)))
    expires_on = UtcTime(allow_none=True, metadata=documented("When first exchanges end."))
    max_uses = fields.Integer(allow_none=True, metadata=documented("First exchanges that there may be."))
    uses = fields.Integer(metadata=documented("First exchanges so far. Reloads do not count."))
    created_on = UtcTime()
    created_by = fields.String(metadata=documented("The `sub` of the token that made it."))
    revoked_on = UtcTime(allow_none=True, metadata=documented("When it was revoked."))
    revoked_by = fields.String(allow_none=True, metadata=documented("Who revoked it."))


class NewlyInvitedSchema(InvitationSchema):
    """A new invitation with its URL, which cannot be read again."""

    url = fields.String(
        metadata=documented(
            "The link to send. The code is after `#`; browsers do not send this part to servers.",
            f"http://127.0.0.1:8000/join#{CODE_EXAMPLE}",
        )
    )


@blueprint.route("/session/<string:meeting_link_id>/invitations", methods=["POST"])
@requires(Permission.GENERATE_MEETING_TOKEN)
@fails_with(
    IdempotencyKeyInvalid,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    MeetingEnded,
    RoleForbidden,
    CapabilityUnsupported,
    ProviderNotEnabled,
)
@blueprint.arguments(NewInvitationSchema, example={"role": "publisher", "name": "Ada", "maxUses": 1})
@blueprint.response(201, NewlyInvitedSchema, headers={"Location": {"schema": {"type": "string"}}})
@blueprint.doc(operationId=f"{Tag.DOOR}.createInvitation", parameters=[IDEMPOTENCY_KEY])
def create_invitation(new: dict[str, Any], meeting_link_id: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Make a link by which people come to a meeting, from now until the meeting ends.

    The page at the link exchanges the code in it for a token (`POST /join`). Before a scheduled meeting opens, the
    exchange is refused with the time at which it will. A repetition with the same `Idempotency-Key` returns the same
    invitation with a further URL: the code of the first one is not stored. Both work, and share the uses.
    """
    wish = NewInvitation(**new)
    invitation, url = services().invitations.invite(caller(), meeting_link_id, wish, idempotency_key())
    place = url_for("invitations.get_invitation", meeting_link_id=meeting_link_id, invitation_id=invitation.public_id)
    return {**invitation_values(invitation), "url": url}, {"Location": place}


@blueprint.route("/session/<string:meeting_link_id>/invitations", methods=["GET"])
@requires(Permission.GENERATE_MEETING_TOKEN)
@blueprint.arguments(ListArgs, location="query")
@blueprint.response(200, InvitationSchema(many=True), headers=LIST_HEADERS)
@blueprint.doc(operationId=f"{Tag.DOOR}.getInvitations")
def list_invitations(args: dict[str, Any], meeting_link_id: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """List the invitations of a meeting, newest first, revoked ones included."""
    asked = ListRequest(args, BY_ID)
    found = services().invitations.list_invitations(caller(), meeting_link_id, asked.part)
    return [invitation_values(one) for one in found.items], asked.headers(found)


@blueprint.route("/session/<string:meeting_link_id>/invitations/<string:invitation_id>", methods=["GET"])
@requires(Permission.GENERATE_MEETING_TOKEN)
@blueprint.response(200, InvitationSchema)
@blueprint.doc(operationId=f"{Tag.DOOR}.getInvitation")
def get_invitation(meeting_link_id: str, invitation_id: str) -> dict[str, Any]:
    """Read an invitation."""
    return invitation_values(services().invitations.read_invitation(caller(), meeting_link_id, invitation_id))


@blueprint.route("/session/<string:meeting_link_id>/invitations/<string:invitation_id>", methods=["DELETE"])
@requires(Permission.GENERATE_MEETING_TOKEN)
@blueprint.response(204)
@blueprint.doc(operationId=f"{Tag.DOOR}.revokeInvitation")
def revoke_invitation(meeting_link_id: str, invitation_id: str) -> None:
    """Revoke an invitation: from now on its link, and the seats and controls that it gave, are refused.

    People who are connected stay connected, and a token that was given stays valid until it expires: disconnect or ban
    them. Revoking a revoked invitation changes nothing.
    """
    services().invitations.revoke(caller(), meeting_link_id, invitation_id)


def invitation_values(one: Invitation) -> dict[str, Any]:
    """Return what callers see of an invitation."""
    return {
        "id": one.public_id,
        "role": one.role,
        "attendee": one.attendee,
        "name": one.name,
        "admission": one.admission,
        "expiresOn": one.expires_on,
        "maxUses": one.max_uses,
        "uses": one.uses,
        "createdOn": one.created_on,
        "createdBy": one.created_by,
        "revokedOn": one.revoked_on,
        "revokedBy": one.revoked_by,
    }
