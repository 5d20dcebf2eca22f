"""``/join``: people exchange an invitation's code, a seat or a ticket for a token. Public, for the page of the link."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from marshmallow import fields

from videoconf.api.authentication import public, visitor
from videoconf.api.failures import DATABASE, PROVIDER, fails_with
from videoconf.api.fields import Schema, Text, UtcTime, documented
from videoconf.api.http import IDEMPOTENCY_KEY, idempotency_key
from videoconf.api.invitations import CODE_EXAMPLE
from videoconf.api.meetings import MeetingTokenSchema, token_values
from videoconf.api.openapi import Tag
from videoconf.api.refusals import spare
from videoconf.api.services import services
from videoconf.api.smorest import Blueprint
from videoconf.door.join import Admitted, Presented, Waiting
from videoconf.door.models import Admission
from videoconf.errors import (
    AdmissionRefused,
    AttendeeBanned,
    CapabilityUnsupported,
    EncryptionKeyUnknown,
    EncryptionNotConfigured,
    IdempotencyKeyInvalid,
    InvitationNotFound,
    LobbyFull,
    MeetingEnded,
    MeetingNotOpen,
    TicketNotFound,
)
from videoconf.formats import camel_cased
from videoconf.meetings.models import MeetingStatus
from videoconf.providers import Role

blueprint = Blueprint("door", __name__, tag=Tag.DOOR)

SECRET_EXAMPLE = "mV4rT8yQ1wE6uI3oP9aS5dF7gH2jK0lZ"  # noqa: S105  # an example in the document
MAX_SECRET_LENGTH = 255
"""A longer string is refused before it is looked up."""
SHORTEST_KEY = 20
_RANDOM_KEY = {
    **IDEMPOTENCY_KEY,
    "description": "Random, as a UUID. A further exchange with the same code and key is the same person's, and no use.",
    "schema": {"type": "string", "minLength": SHORTEST_KEY, "maxLength": 255, "pattern": "^[!-+.-~-]+$"},
}
_ISSUING = (CapabilityUnsupported, EncryptionKeyUnknown, EncryptionNotConfigured, *DATABASE, *PROVIDER)
"""What making a token can end with, besides what the door itself refuses."""


class CodeSchema(Schema):
    """What a person brings to the door."""

    code = Text(
        max_length=MAX_SECRET_LENGTH, required=True, metadata=documented("From the link, behind `#`.", CODE_EXAMPLE)
    )
    seat = Text(
        max_length=MAX_SECRET_LENGTH,
        load_default=None,
        allow_none=True,
        metadata=documented("As an earlier exchange returned it: the person is then who they were."),
    )


class JoinSchema(CodeSchema):
    """Who comes in."""

    name = Text(
        max_length=255,
        load_default=None,
        allow_none=True,
        metadata=documented("Display name; counts where the invitation has none.", "Ada"),
    )


class TicketSchema(Schema):
    """A place in the lobby."""

    ticket = Text(
        max_length=MAX_SECRET_LENGTH,
        required=True,
        metadata=documented(
            "Secret of the person who waits: send it to `POST /join/ticket` every 2 s.", SECRET_EXAMPLE
        ),
    )


class InvitedMeetingSchema(Schema):
    """What the holder of a code may know before they join."""

    title = fields.String(
        allow_none=True, metadata=documented("The meeting's `extMetadata.title`, if that is a string.")
    )
    status = fields.String(metadata=documented("Where it is in its life.", enum=list(MeetingStatus)))
    schedule_time = UtcTime(allow_none=True, metadata=documented("When it starts."))
    opens_on = UtcTime(allow_none=True, metadata=documented("When the door opens; null where it has opened."))
    role = fields.String(metadata=documented("What the token will allow.", Role.PUBLISHER))
    name = fields.String(allow_none=True, metadata=documented("Display name, if it is known: do not ask for it again."))
    admission = fields.String(
        metadata=documented(
            "`ask`: a moderator will have to admit them. With a seat always `open`.", enum=list(Admission)
        )
    )
    provider = fields.String(metadata=documented("Key of the meeting's provider.", "fake"))


class AdmittedSchema(MeetingTokenSchema):
    """A token as `…/token` gives it, and the secrets of the person's seat."""

    meeting_link = fields.String(metadata=documented("The meeting's id in paths, for what `control` allows."))
    attendee = fields.String(
        metadata=documented("Stable id of the person; `guest-…` by an invitation that names none.")
    )
    name = fields.String(allow_none=True, metadata=documented("Display name."))
    seat = fields.String(
        metadata=documented(
            "Secret of this person: keep it in `sessionStorage`, and send it when the page loads again."
        )
    )
    control = fields.String(
        allow_none=True,
        metadata=documented(
            "Secret of a moderator, else null. As `Authorization: Control …` it allows the lobby, muting,"
            " disconnecting, bans and the end of this one meeting."
        ),
    )


@blueprint.route("/join", methods=["POST"])
@public("a client with the code of an invitation")
@fails_with(
    InvitationNotFound, MeetingNotOpen, MeetingEnded, AttendeeBanned, LobbyFull, IdempotencyKeyInvalid, *_ISSUING
)
@blueprint.arguments(JoinSchema, example={"code": CODE_EXAMPLE, "name": "Ada"})
@blueprint.response(200, AdmittedSchema)
@blueprint.alt_response(202, schema=TicketSchema)
@blueprint.doc(operationId=f"{Tag.DOOR}.join", parameters=[_RANDOM_KEY])
def join(presented: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Exchange an invitation's code for a meeting token.

    The first exchange spends one of the invitation's uses and makes a seat. With the seat, an exchange gives a new
    token to the same attendee and spends nothing. Where a moderator admits people, the answer is 202 with a ticket,
    unless a seat is sent. When the answer to a first exchange is lost, send it again with the same `Idempotency-Key`:
    the seat follows from the code and the key, so that it is found again. Whoever has both is this person, so make the
    key at random.

    A code that does not exist, is used up, has expired or was revoked is 404, always in the same words; so is a seat
    that the invitation did not give. Before the meeting opens: 409 `meeting_not_open` with `opensOn`. Only answers to
    unknown codes and seats count against `VIDEOCONF_RATE_LIMIT_ADDRESS`.
    """
    key = _random_key()
    with _known_codes_spared():
        return _answer(services().door.join(visitor(), Presented(**presented, key=key)))


@blueprint.route("/join/invitation", methods=["POST"])
@public("a client with the code of an invitation")
@fails_with(InvitationNotFound, *DATABASE)
@blueprint.arguments(CodeSchema, example={"code": CODE_EXAMPLE})
@blueprint.response(200, InvitedMeetingSchema)
@blueprint.doc(operationId=f"{Tag.DOOR}.getInvitedMeeting")
def look(presented: dict[str, Any]) -> dict[str, Any]:
    """Read what an invitation is for: what a page shows before its visitor joins. Spends nothing.

    POST and not GET, so that no URL contains the code.
    """
    with _known_codes_spared():
        found = services().door.look(Presented(**presented))
    return camel_cased(vars(found))


@blueprint.route("/join/ticket", methods=["POST"])
@public("a person who waits in a lobby")
@fails_with(TicketNotFound, MeetingNotOpen, MeetingEnded, AdmissionRefused, AttendeeBanned, *_ISSUING)
@blueprint.arguments(TicketSchema, example={"ticket": SECRET_EXAMPLE})
@blueprint.response(200, AdmittedSchema)
@blueprint.alt_response(202, schema=TicketSchema)
@blueprint.doc(operationId=f"{Tag.DOOR}.joinWithTicket")
def join_by_ticket(sent: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Exchange a ticket for a meeting token, once a moderator has admitted the person; 202 until then.

    To be called every 2 s. A person who waits and is not heard of for 60 s is gone: their ticket is then 404. A refused
    one is 403 `admission_refused`. The first token spends a use of the invitation; the seat that comes with it is the
    ticket itself.
    """
    return _answer(services().door.join_by_ticket(visitor(), sent["ticket"]))


def _random_key() -> str | None:
    key = idempotency_key()
    if key is not None and len(key) < SHORTEST_KEY:
        raise IdempotencyKeyInvalid(f"Here it is a secret: make it at random, of {SHORTEST_KEY} characters or more.")
    return key


@contextmanager
def _known_codes_spared() -> Iterator[None]:
    """Count no known code as guessing: a class may reload a link that is used up."""
    try:
        yield
    except InvitationNotFound as error:
        if error.is_known:
            spare()
        raise


def _answer(found: Admitted | Waiting) -> tuple[dict[str, Any], int]:
    if isinstance(found, Waiting):
        return {"ticket": found.ticket}, 202
    admitted = {
        **token_values(found.issued),
        "meetingLink": found.meeting_link,
        "attendee": found.attendee,
        "name": found.name,
        "seat": found.seat,
        "control": found.control,
    }
    return admitted, 200
