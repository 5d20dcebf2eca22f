"""Disconnect and mute participants of a meeting."""

from __future__ import annotations

from videoconf.api.authentication import caller, requires
from videoconf.api.failures import PROVIDER, fails_with
from videoconf.api.openapi import Tag
from videoconf.api.permissions import Permission
from videoconf.api.services import services
from videoconf.api.smorest import Blueprint
from videoconf.errors import CapabilityUnsupported, MeetingEnded

blueprint = Blueprint("moderation", __name__, tag=Tag.SESSIONS)


@blueprint.route("/session/<string:meeting_link_id>/attendees/<string:connection_id>", methods=["DELETE"])
@requires(Permission.MODERATE_MEETING, by_control=True)
@fails_with(MeetingEnded, CapabilityUnsupported, *PROVIDER)
@blueprint.response(204)
@blueprint.doc(operationId=f"{Tag.SESSIONS}.disconnectAttendee")
def disconnect_attendee(meeting_link_id: str, connection_id: str) -> None:
    """Disconnect one connection of an attendee. One that has left is success.

    They may come back with a token that is still valid.
    """
    services().moderation.disconnect(caller(), meeting_link_id, connection_id)


@blueprint.route("/session/<string:meeting_link_id>/attendees/<string:connection_id>/mute", methods=["POST"])
@requires(Permission.MODERATE_MEETING, by_control=True)
@fails_with(MeetingEnded, CapabilityUnsupported, *PROVIDER)
@blueprint.response(204)
@blueprint.doc(operationId=f"{Tag.SESSIONS}.muteAttendee")
def mute_attendee(meeting_link_id: str, connection_id: str) -> None:
    """Mute what one connection of an attendee sends at this moment.

    One that sends nothing, or has left, is success. They can unmute themselves. A 409 `provider_conflict` means that
    no webhook has reported yet whose stream one of the provider's streams is; what the connection is known to send is
    muted, and trying again in a moment helps.
    """
    services().moderation.mute(caller(), meeting_link_id, connection_id)


@blueprint.route("/session/<string:meeting_link_id>/mute", methods=["POST"])
@requires(Permission.MODERATE_MEETING, by_control=True)
@fails_with(MeetingEnded, CapabilityUnsupported, *PROVIDER)
@blueprint.response(204)
@blueprint.doc(operationId=f"{Tag.SESSIONS}.muteMeeting")
def mute_meeting(meeting_link_id: str) -> None:
    """Mute all participants who send now; they can unmute themselves."""
    services().moderation.mute(caller(), meeting_link_id)
