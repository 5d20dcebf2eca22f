"""What goes over the wire about meetings. Names and types are the documented ones."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, pre_load, validate

from videoconf.api.fields import JsonObject, Schema, StrictBoolean, StrictInteger, Text, UtcTime
from videoconf.meetings.models import MeetingStatus
from videoconf.providers import Role

LINK_EXAMPLE = "pX3mJ5v0Qy2cZ1tB7kLw9A"
SESSION_EXAMPLE = "fs_5f2b7c19d0a84e63"


def documented(description: str, example: Any = None) -> dict[str, Any]:
    """Describe a field for the OpenAPI document."""
    metadata = {"description": description}
    return metadata if example is None else {**metadata, "example": example}


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

    deleted = StrictBoolean(metadata=documented("The meeting was deleted."))
    deleted_on = UtcTime(allow_none=True, metadata=documented("When it was deleted."))
    deleted_by = Text(max_length=255, allow_none=True, metadata=documented("Who deleted it."))
    created_on = UtcTime(metadata=documented("When it was created."))
    modified_on = UtcTime(metadata=documented("When it was changed last."))
    created_by = Text(max_length=255, metadata=documented("Who created it."))
    modified_by = Text(max_length=255, metadata=documented("Who changed it last."))
    id = StrictInteger(metadata=documented("A number; a handle for nothing.", 1))
    session_id = Text(max_length=255, allow_none=True, metadata=documented("The provider's session.", SESSION_EXAMPLE))
    meeting_link = Text(max_length=255, metadata=documented("The meeting's id in every path.", LINK_EXAMPLE))
    is_scheduled = StrictBoolean(metadata=documented("The meeting starts at `scheduleTime`."))
    schedule_time = UtcTime(allow_none=True, metadata=documented("When it starts."))
    is_archived = StrictBoolean(metadata=documented("Every run of the meeting is recorded."))
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

    role = fields.String(
        load_default=Role.PUBLISHER, validate=validate.OneOf(list(Role)), metadata=documented("In any letter case.")
    )
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

    @pre_load
    def _role_in_any_case(self, body: Any, **kwargs: Any) -> Any:
        if isinstance(body, dict) and isinstance(body.get("role"), str):
            return {**body, "role": body["role"].lower()}
        return body


class MeetingTokenSchema(Schema):
    """A token, and what a client SDK needs besides it."""

    session_id = fields.String(metadata=documented("The provider's session.", SESSION_EXAMPLE))
    token = fields.String(
        attribute="join.token", allow_none=True, metadata=documented("Null where people join by `connect.url` alone.")
    )
    role = fields.String(metadata=documented("What the bearer may do.", Role.PUBLISHER))
    expire_time = UtcTime(attribute="join.expires_at", metadata=documented("When the token ends."))
    provider = fields.String(metadata=documented("Key of the meeting's provider.", "fake"))
    connect = fields.Dict(
        attribute="join.connect", metadata=documented("API key, URL: what the provider's client needs.")
    )
