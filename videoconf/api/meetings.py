"""``/session``: the meeting's life. Views parse, ask the domain, and dump."""

from __future__ import annotations

from typing import Any

from flask import Response, url_for
from marshmallow import fields, validate

from videoconf.api.answers import json_bytes
from videoconf.api.authentication import caller, requires
from videoconf.api.failures import PROVIDER, fails_with
from videoconf.api.fields import (
    LINK_EXAMPLE,
    SESSION_EXAMPLE,
    JsonObject,
    MeetingRole,
    Schema,
    StrictBoolean,
    StrictInteger,
    Text,
    UtcTime,
    documented,
)
from videoconf.api.http import IDEMPOTENCY_KEY, idempotency_key, preferences, preferred_type
from videoconf.api.openapi import Tag
from videoconf.api.permissions import Permission
from videoconf.api.services import services
from videoconf.api.smorest import LIST_HEADERS, Blueprint, ListArgs, ListRequest
from videoconf.errors import (
    AttendeeBanned,
    CapabilityUnsupported,
    EncryptionKeyUnknown,
    EncryptionNotConfigured,
    IdempotencyInProgress,
    IdempotencyKeyInvalid,
    IdempotencyKeyReused,
    MeetingEnded,
    MeetingNotOpen,
    ReadOnly,
    RoleForbidden,
)
from videoconf.formats import camel_case
from videoconf.meetings import queries
from videoconf.meetings.create import NewMeeting
from videoconf.meetings.join import IssuedToken, TokenWish
from videoconf.meetings.models import Meeting, MeetingStatus
from videoconf.providers import Role

blueprint = Blueprint("meetings", __name__, tag=Tag.SESSIONS)

EDITABLE = ("is_scheduled", "schedule_time", "ext_id", "ext_metadata")
UNDOCUMENTED = ("provider", "end_to_end_encryption", "status")
"""What this service adds to the documented properties of a meeting. An edit may not change these in silence."""
IGNORED_PROPERTIES = "X-Ignored-Properties"


class NewMeetingSchema(Schema):
    """A meeting to create."""

    is_scheduled = StrictBoolean(load_default=False, metadata=documented("The meeting starts later."))
    schedule_time = UtcTime(load_default=None, allow_none=True, metadata=documented("When it starts; in the future."))
    enable_archiving = StrictBoolean(load_default=False, metadata=documented("Record every run of the meeting."))
    end_to_end_encryption = StrictBoolean(
        load_default=False, metadata=documented("Encrypt media between clients. Excludes archiving.")
    )
    provider = Text(
        max_length=32, load_default=None, allow_none=True, metadata=documented("Key of an enabled provider.")
    )
    provider_options = JsonObject(load_default=dict, metadata=documented("Options of the provider's own."))
    ext_id = Text(
        max_length=255, load_default=None, allow_none=True, metadata=documented("Your own id of the meeting.")
    )
    ext_metadata = JsonObject(
        load_default=None, allow_none=True, metadata=documented("Anything of yours, at most 16 KiB.")
    )


class VideoChatSessionPartialSchema(Schema):
    """A meeting. What is not set is null."""

    deleted = StrictBoolean(metadata=documented("The meeting was deleted; it can still be read."))
    deleted_on = UtcTime(allow_none=True, metadata=documented("When it was deleted."))
    deleted_by = Text(max_length=255, allow_none=True, metadata=documented("Who deleted it."))
    created_on = UtcTime(metadata=documented("When it was created."))
    modified_on = UtcTime(metadata=documented("When it was changed last."))
    created_by = Text(max_length=255, metadata=documented("Who created it."))
    modified_by = Text(max_length=255, metadata=documented("Who changed it last."))
    id = StrictInteger(metadata=documented("The row's number. Use `meetingLink` in every path.", 1))
    session_id = Text(max_length=255, allow_none=True, metadata=documented("The provider's session.", SESSION_EXAMPLE))
    meeting_link = Text(max_length=255, metadata=documented("The meeting's id in every path.", LINK_EXAMPLE))
    is_scheduled = StrictBoolean(metadata=documented("The meeting starts at `scheduleTime`."))
    schedule_time = UtcTime(allow_none=True, metadata=documented("When it starts."))
    is_archived = StrictBoolean(
        metadata=documented("The provider records each run by itself, because `enableArchiving` was true.")
    )
    archive_id = Text(max_length=255, allow_none=True, metadata=documented("The newest archive."))
    upload_target = Text(
        max_length=255, allow_none=True, metadata=documented("Storage target in force at its creation.")
    )
    start_time = UtcTime(allow_none=True, metadata=documented("When the first token was given."))
    end_time = UtcTime(allow_none=True, metadata=documented("When it was ended."))
    ext_id = Text(max_length=255, allow_none=True, metadata=documented("Your own id of the meeting."))
    ext_metadata = JsonObject(allow_none=True, metadata=documented("Anything of yours, at most 16 KiB."))
    provider = Text(max_length=32, metadata=documented("Key of its provider.", "fake"))
    end_to_end_encryption = StrictBoolean(metadata=documented("Media are encrypted between clients."))
    status = Text(
        max_length=32, validate=validate.OneOf(list(MeetingStatus)), metadata=documented("Where it is in its life.")
    )


class TokenWishSchema(Schema):
    """A token for one person."""

    role = MeetingRole()
    expires_at = UtcTime(
        data_key="expireTime",
        load_default=None,
        allow_none=True,
        metadata=documented("In the future. By default as far off as `VIDEOCONF_TOKEN_TTL_SECONDS` says."),
    )
    attendee = Text(
        max_length=255, load_default=None, allow_none=True, metadata=documented("Stable id of the person.", "u-7")
    )
    name = Text(max_length=255, load_default=None, allow_none=True, metadata=documented("Display name.", "Ada"))
    data = Text(
        max_length=1000, load_default=None, allow_none=True, metadata=documented("Goes to the client's connection.")
    )


class MeetingTokenSchema(Schema):
    """A token, and what a client SDK needs besides it."""

    session_id = fields.String(metadata=documented("The provider's session.", SESSION_EXAMPLE))
    token = fields.String(allow_none=True, metadata=documented("Null where people join by `connect.url` alone."))
    role = fields.String(metadata=documented("What the bearer may do.", Role.PUBLISHER))
    expire_time = UtcTime(metadata=documented("When the token ends."))
    provider = fields.String(metadata=documented("Key of the meeting's provider.", "fake"))
    connect = fields.Dict(metadata=documented("API key, URL: what the provider's client needs."))


class MeetingArgs(ListArgs):
    """Which meetings, in which order, and which part of them."""

    ext_id = Text(max_length=255, load_default=None, metadata=documented("Those with your own id."))
    attendee = Text(
        max_length=1000,
        load_default=None,
        metadata=documented("Those where this person was; sorted by `created` only."),
    )
    provider = Text(max_length=32, load_default=None, metadata=documented("Those of this provider."))
    status = Text(
        max_length=32,
        load_default=None,
        validate=validate.OneOf(list(MeetingStatus)),
        metadata=documented("Those in this state. Without it, all but deleted ones."),
    )
    created_from = UtcTime(load_default=None, metadata=documented("Created at this time or later."))
    created_to = UtcTime(load_default=None, metadata=documented("Created before this time."))
    scheduled_from = UtcTime(load_default=None, metadata=documented("Scheduled for this time or later."))
    scheduled_to = UtcTime(load_default=None, metadata=documented("Scheduled for before this time."))
    sort = fields.String(
        load_default=queries.NEWEST_FIRST,
        validate=validate.OneOf(list(queries.ORDERS)),
        metadata=documented("`-`: the latest first. By `scheduled`, the list has only meetings with a `scheduleTime`."),
    )


PREFER_RETURN = {
    "name": "Prefer",
    "in": "header",
    "description": "`return=representation` (RFC 7240): answer with the whole meeting in place of its link id.",
    "schema": {"type": "string"},  # RFC 7240: unknown preferences are ignored
}
PREFER_HANDLING = {
    "name": "Prefer",
    "in": "header",
    "description": "`handling=strict` (RFC 7240): refuse a changed property that only the service sets.",
    "schema": {"type": "string"},
}
CREATED = {
    "oneOf": [
        {"type": "string", "description": "The link id."},
        {"$ref": "#/components/schemas/VideoChatSessionPartial"},
    ]
}
CREATED_AS_TEXT = {"text/plain": {"schema": {"type": "string"}, "example": f'"{LINK_EXAMPLE}"'}}


@blueprint.route("/session", methods=["POST"])
@requires(Permission.CREATE_MEETING_SESSION)
@fails_with(
    IdempotencyKeyInvalid,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    CapabilityUnsupported,
    EncryptionKeyUnknown,
    EncryptionNotConfigured,
    *PROVIDER,
)
@blueprint.arguments(NewMeetingSchema, example={"extId": "lesson-7", "extMetadata": {"room": "blue"}})
@blueprint.response(200, CREATED, example=LINK_EXAMPLE, headers={"Location": {"schema": {"type": "string"}}})
@blueprint.doc(
    operationId=f"{Tag.SESSIONS}.getMeetingLink",
    parameters=[IDEMPOTENCY_KEY, PREFER_RETURN],
    responses={200: {"content": CREATED_AS_TEXT}},
)
def create_meeting(new: dict[str, Any]) -> Response:
    """Create a meeting; the answer is its link id as a JSON string.

    Without a body, a meeting that starts now. `Accept` chooses between `application/json` (the default) and
    `text/plain`; the body is the same. With `Prefer: return=representation` the answer is the meeting, as
    `application/json`.
    """
    whole = preferences().get("return") == "representation"
    content_type = preferred_type("application/json") if whole else preferred_type("application/json", "text/plain")
    link = services().creation.create(caller(), NewMeeting(**new), idempotency_key())
    body = meeting_values(queries.read_meeting(caller(), link)) if whole else link
    response = Response(json_bytes(body), content_type=content_type)
    response.headers["Location"] = url_for("meetings.get_meeting", meeting_link_id=link)
    if whole:
        response.headers["Preference-Applied"] = "return=representation"
    response.vary.update(("Accept", "Prefer"))
    return response


@blueprint.route("/session", methods=["GET"])
@requires(Permission.GET_MEETINGS)
@blueprint.arguments(MeetingArgs, location="query")
@blueprint.response(200, VideoChatSessionPartialSchema(many=True), headers=LIST_HEADERS)
@blueprint.doc(operationId=f"{Tag.SESSIONS}.getMeetings")
def list_meetings(args: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """List meetings, newest first, without deleted ones.

    Filter by at most one of `extId`, `attendee`, `provider` and `status`, with or without a range of the time that the
    list is sorted by.
    """
    asked = ListRequest(args, queries.ORDERS[args["sort"]])
    found = queries.list_meetings(caller(), queries.MeetingFilter(**args), asked.part)
    return [meeting_values(meeting) for meeting in found.items], asked.headers(found)


@blueprint.route("/session/<string:meeting_link_id>", methods=["GET"])
@requires(Permission.GET_MEETINGS)
@blueprint.response(200, VideoChatSessionPartialSchema)
@blueprint.doc(operationId=f"{Tag.SESSIONS}.getMeeting")
def get_meeting(meeting_link_id: str) -> dict[str, Any]:
    """Read a meeting, a deleted one included."""
    return meeting_values(queries.read_meeting(caller(), meeting_link_id))


@blueprint.route("/session/<string:meeting_link_id>", methods=["PATCH"])
@requires(Permission.EDIT_MEETING)
@fails_with(MeetingEnded, ReadOnly)
@blueprint.arguments(
    VideoChatSessionPartialSchema(partial=True),
    example={"isScheduled": True, "scheduleTime": "2100-01-31T09:30:00Z", "extId": "lesson-8"},
)
@blueprint.response(
    204,
    headers={
        IGNORED_PROPERTIES: {
            "description": "Properties that only the service sets, were sent with another value, and stay as they are.",
            "schema": {"type": "string"},
        }
    },
)
@blueprint.doc(operationId=f"{Tag.SESSIONS}.editMeeting", parameters=[PREFER_HANDLING])
def edit_meeting(sent: dict[str, Any], meeting_link_id: str) -> tuple[str, dict[str, str]]:
    """Change what is sent of `isScheduled`, `scheduleTime`, `extId` and `extMetadata`.

    Only the service sets the other properties. They may be sent back as they were read. With another value, `provider`,
    `endToEndEncryption` and `status` are refused as `read_only`; the others stay as they are, and the header
    `X-Ignored-Properties` names them. With `Prefer: handling=strict` they are refused, too.
    """
    strict = preferences().get("handling") == "strict"
    changes = {name: sent.pop(name) for name in EDITABLE if name in sent}
    differing = services().editing.edit(caller(), meeting_link_id, changes, sent, sent if strict else UNDOCUMENTED)
    headers = {"Preference-Applied": "handling=strict"} if strict else {}
    if differing:
        headers[IGNORED_PROPERTIES] = ", ".join(camel_case(name) for name in differing)
    return "", headers


@blueprint.route("/session/<string:meeting_link_id>", methods=["DELETE"])
@requires(Permission.DELETE_MEETING)
@blueprint.response(204)
@blueprint.doc(operationId=f"{Tag.SESSIONS}.deleteMeeting")
def delete_meeting(meeting_link_id: str) -> None:
    """Delete a meeting softly; one that runs is ended first."""
    services().ending.delete(caller(), meeting_link_id)


@blueprint.route("/session/<string:meeting_link_id>/end", methods=["PATCH"])
@requires(Permission.STOP_MEETING, by_control=True)
@fails_with(MeetingEnded)
@blueprint.response(204)
@blueprint.doc(operationId=f"{Tag.SESSIONS}.endSession")
def end_meeting(meeting_link_id: str) -> None:
    """End a meeting for all participants, also at the provider. Of several calls exactly one succeeds."""
    services().ending.end(caller(), meeting_link_id)


@blueprint.route("/session/<string:meeting_link_id>/token", methods=["POST"])
@requires(Permission.GENERATE_MEETING_TOKEN)
@fails_with(
    MeetingEnded,
    MeetingNotOpen,
    RoleForbidden,
    AttendeeBanned,
    CapabilityUnsupported,
    EncryptionKeyUnknown,
    EncryptionNotConfigured,
    *PROVIDER,
)
@blueprint.arguments(TokenWishSchema, example={"role": "publisher", "attendee": "u-7", "name": "Ada"})
@blueprint.response(200, MeetingTokenSchema)
@blueprint.doc(operationId=f"{Tag.SESSIONS}.getMeetingToken")
def create_token(wish: dict[str, Any], meeting_link_id: str) -> dict[str, Any]:
    """Give one person a token to join a meeting with."""
    return token_values(services().joining.issue_token(caller(), meeting_link_id, TokenWish(**wish)))


def token_values(issued: IssuedToken) -> dict[str, Any]:
    """Return what callers see of a token."""
    return {
        "sessionId": issued.session_id,
        "token": issued.join.token,
        "role": issued.role,
        "expireTime": issued.join.expires_at,
        "provider": issued.provider,
        "connect": dict(issued.join.connect),
    }


def meeting_values(meeting: Meeting) -> dict[str, Any]:
    """Return what callers see of a meeting."""
    return {
        "deleted": meeting.deleted,
        "deletedOn": meeting.deleted_on,
        "deletedBy": meeting.deleted_by,
        "createdOn": meeting.created_on,
        "modifiedOn": meeting.modified_on,
        "createdBy": meeting.created_by,
        "modifiedBy": meeting.modified_by,
        "id": meeting.id,
        "sessionId": meeting.session_id,
        "meetingLink": meeting.meeting_link,
        "isScheduled": meeting.is_scheduled,
        "scheduleTime": meeting.schedule_time,
        "isArchived": meeting.is_archived,
        "archiveId": meeting.archive_id,
        "uploadTarget": meeting.upload_target,
        "startTime": meeting.start_time,
        "endTime": meeting.end_time,
        "extId": meeting.ext_id,
        "extMetadata": meeting.ext_metadata,
        "provider": meeting.provider,
        "endToEndEncryption": meeting.end_to_end_encryption,
        "status": meeting.status,
    }
