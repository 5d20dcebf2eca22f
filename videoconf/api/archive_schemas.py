"""What goes over the wire about archives."""

from __future__ import annotations

import json
from typing import Any

from marshmallow import fields, validate

from videoconf.api.fields import JsonText, Schema, StrictBoolean, Text, UtcTime
from videoconf.api.meeting_schemas import LINK_EXAMPLE, SESSION_EXAMPLE, documented
from videoconf.api.smorest import PageArgs
from videoconf.archives.lifecycle import RANK
from videoconf.archives.models import Archive
from videoconf.archives.queries import ListedArchive
from videoconf.providers import ArchiveStatus

ARCHIVE_EXAMPLE = "fa_9c1e5a7740d2b836"
SHOWN_STATUSES = [str(status) for status in RANK]


class ArchiveSchema(Schema):
    """A recording of a meeting. What is not known is null."""

    id = fields.String(attribute="archive_id", metadata=documented("The archive's id.", ARCHIVE_EXAMPLE))
    name = fields.String(allow_none=True, metadata=documented("Its name."))
    session_id = fields.String(
        attribute="meeting.session_id", metadata=documented("The provider's session.", SESSION_EXAMPLE)
    )
    meeting_link = fields.String(
        attribute="meeting.meeting_link", metadata=documented("The meeting that it is of.", LINK_EXAMPLE)
    )
    status = fields.String(
        attribute="shown_status",
        validate=validate.OneOf(SHOWN_STATUSES),
        metadata=documented("`deleting` until all copies are gone.", ArchiveStatus.AVAILABLE),
    )
    created_on = UtcTime(metadata=documented("When it was started."))
    duration_seconds = fields.Integer(allow_none=True, metadata=documented("Its length, once it is known."))
    size_bytes = fields.Integer(allow_none=True, metadata=documented("Its size, once it is known."))
    reason = fields.String(allow_none=True, metadata=documented("Why it has its status, in the provider's words."))
    upload_target = fields.String(
        attribute="meeting.upload_target", allow_none=True, metadata=documented("The storage target that it goes to.")
    )
    legal_hold = fields.Boolean(metadata=documented("It is not deleted, whoever asks and whatever its age."))
    meta_data = fields.Method("_meta_data", metadata={"type": "object", **documented("What else the provider said.")})

    def _meta_data(self, archive: Archive) -> dict[str, Any]:
        return told_metadata(archive)


def told_metadata(archive: Archive) -> dict[str, Any]:
    """Return what the provider said of an archive, with its own word for the status."""
    return {**archive.meta_data, **_own_word(archive)}


def listed_metadata(row: ListedArchive) -> Any:
    """Return the same of an archive in a list: its JSON as it is, since parsing it would be much of the work."""
    if _says_more(row):
        return {**json.loads(row.meta_data), **_own_word(row)}
    return JsonText(row.meta_data)


def _says_more(archive: Archive | ListedArchive) -> bool:
    return archive.provider_status not in ("", archive.status)


def _own_word(archive: Archive | ListedArchive) -> dict[str, str]:
    return {"providerStatus": archive.provider_status} if _says_more(archive) else {}


class ArchivesSchema(Schema):
    """A page of archives."""

    count = fields.Integer(metadata=documented("How many match, on all pages.", 1))
    items = fields.List(fields.Nested(ArchiveSchema))


class ArchiveArgs(PageArgs):
    """Which archives, and which page of them."""

    meeting_link = Text(max_length=255, load_default=None, metadata=documented("Those of this meeting."))
    session_id = Text(max_length=255, load_default=None, metadata=documented("Those of this session."))
    status = Text(
        max_length=32,
        load_default=None,
        validate=validate.OneOf(SHOWN_STATUSES),
        metadata=documented("Those that are in this status."),
    )


class NewArchiveSchema(Schema):
    """An archive to start."""

    name = Text(
        min_length=1, max_length=80, load_default=None, allow_none=True, metadata=documented("Its name.", "Visit 7")
    )
    layout = Text(
        min_length=1,
        max_length=64,
        load_default=None,
        allow_none=True,
        metadata=documented("How people are placed in the picture; one of the provider's layouts."),
    )
    output = Text(
        min_length=1,
        max_length=64,
        load_default=None,
        allow_none=True,
        metadata=documented("What is made of it; one of the provider's output modes."),
    )


class ArchiveEditSchema(Schema):
    """What may be changed of an archive. What is not sent stays."""

    name = Text(min_length=1, max_length=255, metadata=documented("Its name.", "Visit 7"))
    legal_hold = StrictBoolean(metadata=documented("Whether it must be kept."))
