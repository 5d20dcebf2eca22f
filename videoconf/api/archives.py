"""``/archives``: recordings of meetings. Views parse, ask the domain, and dump."""

from __future__ import annotations

import json
from typing import Any

from flask import Response, url_for
from marshmallow import fields, validate

from videoconf.api.answers import JsonText
from videoconf.api.authentication import caller, requires
from videoconf.api.failures import PROVIDER, STORAGE, fails_with
from videoconf.api.fields import LINK_EXAMPLE, SESSION_EXAMPLE, Schema, StrictBoolean, Text, UtcTime, documented
from videoconf.api.http import preferred_type
from videoconf.api.openapi import Tag
from videoconf.api.permissions import Permission
from videoconf.api.services import services
from videoconf.api.smorest import LIST_HEADERS, NULL_AS_TEXT, Blueprint, ListArgs, ListRequest
from videoconf.archives.lifecycle import RANK
from videoconf.archives.models import Archive
from videoconf.archives.queries import ORDERS, ArchiveFilter, ListedArchive
from videoconf.errors import (
    ArchiveAlreadyRunning,
    ArchiveDeleting,
    ArchiveNoConnections,
    ArchiveNotDeletable,
    ArchiveNotDownloadable,
    ArchiveOnHold,
    ArchiveSessionEncrypted,
    ArchiveSessionRelayed,
    CapabilityUnsupported,
    MeetingEnded,
)
from videoconf.providers import ArchiveRequest, ArchiveStatus

blueprint = Blueprint("archives", __name__, tag=Tag.ARCHIVES)

ARCHIVE_EXAMPLE = "fa_9c1e5a7740d2b836"
SHOWN_STATUSES = [str(status) for status in RANK]


class ArchiveSchema(Schema):
    """A recording of a meeting. What is not known is null."""

    id = fields.String(metadata=documented("The archive's id.", ARCHIVE_EXAMPLE))
    name = fields.String(allow_none=True, metadata=documented("Its name."))
    session_id = fields.String(metadata=documented("The provider's session.", SESSION_EXAMPLE))
    meeting_link = fields.String(metadata=documented("The meeting that it is of.", LINK_EXAMPLE))
    status = fields.String(
        validate=validate.OneOf(SHOWN_STATUSES),
        metadata=documented("`deleting` until all copies are gone.", ArchiveStatus.AVAILABLE),
    )
    created_on = UtcTime(metadata=documented("When it was started."))
    duration_seconds = fields.Integer(allow_none=True, metadata=documented("Its length, once it is known."))
    size_bytes = fields.Integer(allow_none=True, metadata=documented("Its size, once it is known."))
    reason = fields.String(allow_none=True, metadata=documented("Why it has its status, in the provider's words."))
    upload_target = fields.String(allow_none=True, metadata=documented("The storage target that it goes to."))
    legal_hold = fields.Boolean(metadata=documented("A hold prevents every deletion: by callers and by retention."))
    meta_data = fields.Raw(dump_only=True, metadata={"type": "object", **documented("What else the provider said.")})


class ArchivesSchema(Schema):
    """A part of a list of archives."""

    SOMETIMES_ABSENT = ("count", "count_is_capped")

    count = fields.Integer(
        metadata=documented(
            "How many match, at most 10,000; absent where the list is walked with `limit` and `cursor`.", 1
        )
    )
    count_is_capped = fields.Boolean(metadata=documented("True where more than `count` match; else absent."))
    items = fields.List(fields.Nested(ArchiveSchema))


class ArchiveArgs(ListArgs):
    """Which archives, in which order, and which part of them."""

    meeting_link = Text(max_length=255, load_default=None, metadata=documented("Those of this meeting."))
    session_id = Text(max_length=255, load_default=None, metadata=documented("Those of this session."))
    status = Text(
        max_length=32,
        load_default=None,
        validate=validate.OneOf(SHOWN_STATUSES),
        metadata=documented("Those that are in this status."),
    )
    created_from = UtcTime(load_default=None, metadata=documented("Started at this time or later."))
    created_to = UtcTime(load_default=None, metadata=documented("Started before this time."))
    sort = fields.String(
        load_default="-created", validate=validate.OneOf(list(ORDERS)), metadata=documented("`-`: the newest first.")
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


class ArchiveDownloadSchema(Schema):
    """Where an archive can be read, and until when. Anyone with the URL can read it."""

    url = fields.String(metadata={"format": "uri"})
    expires_on = UtcTime()


@blueprint.route("/archives", methods=["GET"])
@requires(Permission.GET_MEETING_ARCHIVES)
@blueprint.arguments(ArchiveArgs, location="query")
@blueprint.response(200, ArchivesSchema, headers=LIST_HEADERS)
@blueprint.doc(operationId=f"{Tag.ARCHIVES}.getArchives")
def list_archives(args: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """List archives, newest first.

    Those being deleted are among them until all their copies are gone. It needs no provider. Filter by at most one of
    `meetingLink` and `sessionId`, with or without `status` and a time.
    """
    asked = ListRequest(args, ORDERS[args["sort"]])
    found = services().archives.list_part(caller(), ArchiveFilter(**args), asked.part)
    counted: dict[str, Any] = {} if found.total is None else {"count": found.total}
    if found.is_capped:
        counted["countIsCapped"] = True
    return {**counted, "items": [archive_values(row) for row in found.items]}, asked.headers(found)


@blueprint.route("/archives/<string:archive_id>", methods=["GET"])
@requires(Permission.GET_MEETING_ARCHIVES)
@blueprint.response(200, ArchiveSchema)
@blueprint.doc(operationId=f"{Tag.ARCHIVES}.getArchive")
def get_archive(archive_id: str) -> dict[str, Any]:
    """Read an archive, as the list has it."""
    return archive_values(services().archives.get(caller(), archive_id))


@blueprint.route("/archives/<string:archive_id>", methods=["DELETE"])
@requires(Permission.DELETE_MEETING_ARCHIVE)
@fails_with(ArchiveOnHold, ArchiveNotDeletable, CapabilityUnsupported, *PROVIDER, *STORAGE)
@blueprint.response(200, {"type": "null"})
@blueprint.doc(operationId=f"{Tag.ARCHIVES}.deleteArchive", responses={200: {"content": NULL_AS_TEXT}})
def delete_archive(archive_id: str) -> Response:
    """Delete an archive at the provider and in the storage target; the answer is `null`.

    Where one of the two is down, the archive stays `deleting` and is deleted later; then this may be repeated.
    `Accept` chooses between `application/json` (the default) and `text/plain`; the body is the same.
    """
    content_type = preferred_type("application/json", "text/plain")
    services().deletion.delete(caller(), archive_id)
    return Response("null", content_type=content_type)


@blueprint.route("/archives/<string:archive_id>", methods=["PATCH"])
@requires(Permission.DELETE_MEETING_ARCHIVE)
@fails_with(ArchiveDeleting)
@blueprint.arguments(ArchiveEditSchema, example={"name": "Visit 7"})
@blueprint.response(204)
@blueprint.doc(operationId=f"{Tag.ARCHIVES}.editArchive")
def edit_archive(changes: dict[str, Any], archive_id: str) -> None:
    """Rename an archive, or put a legal hold on it or take it off."""
    services().archives.edit(caller(), archive_id, changes)


@blueprint.route("/archives/<string:archive_id>/stop", methods=["POST"])
@requires(Permission.STOP_MEETING_ARCHIVE)
@fails_with(ArchiveDeleting, CapabilityUnsupported, *PROVIDER)
@blueprint.response(200, ArchiveSchema)
@blueprint.doc(operationId=f"{Tag.ARCHIVES}.stopArchive")
def stop_archive(archive_id: str) -> dict[str, Any]:
    """Stop recording; an archive that has stopped stays as it is."""
    return archive_values(services().archives.stop(caller(), archive_id))


@blueprint.route("/session/<string:meeting_link_id>/archives", methods=["POST"])
@requires(Permission.START_MEETING_ARCHIVE)
@fails_with(
    MeetingEnded,
    ArchiveNoConnections,
    ArchiveAlreadyRunning,
    ArchiveSessionRelayed,
    ArchiveSessionEncrypted,
    CapabilityUnsupported,
    *PROVIDER,
    *STORAGE,
)
@blueprint.arguments(NewArchiveSchema, example={"name": "Visit 7"})
@blueprint.response(201, ArchiveSchema)
@blueprint.doc(operationId=f"{Tag.ARCHIVES}.startArchive")
def start_archive(new: dict[str, Any], meeting_link_id: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Start recording a meeting that has at least one connection."""
    archive = services().archives.start(caller(), meeting_link_id, ArchiveRequest(**new))
    return archive_values(archive), {"Location": url_for("archives.get_archive", archive_id=archive.archive_id)}


@blueprint.route("/archives/<string:archive_id>/download", methods=["GET"])
@requires(Permission.GET_MEETING_ARCHIVES)
@blueprint.response(200, ArchiveDownloadSchema)
@fails_with(ArchiveDeleting, ArchiveNotDownloadable, CapabilityUnsupported, *PROVIDER, *STORAGE)
@blueprint.doc(operationId=f"{Tag.ARCHIVES}.downloadArchive")
def download_archive(archive_id: str) -> dict[str, Any]:
    """Give a URL that reads an archive, whole or in ranges, and expires soon.

    Each call makes a new URL: signed by the storage target where the archive is there, else asked of the provider.
    """
    signed = services().downloads.sign(caller(), archive_id)
    return {"url": signed.url, "expiresOn": signed.expires_at}


def archive_values(archive: Archive | ListedArchive) -> dict[str, Any]:
    """Return what callers see of an archive."""
    return {
        "id": archive.archive_id,
        "name": archive.name,
        "sessionId": archive.session_id,
        "meetingLink": archive.meeting_link,
        "status": archive.shown_status,
        "createdOn": archive.created_on,
        "durationSeconds": archive.duration_seconds,
        "sizeBytes": archive.size_bytes,
        "reason": archive.reason,
        "uploadTarget": archive.upload_target,
        "legalHold": archive.legal_hold,
        "metaData": _metadata(archive),
    }


def _metadata(archive: Archive | ListedArchive) -> Any:
    """Return what else the provider said, with its own word for the status."""
    said = archive.meta_data
    if archive.provider_status in ("", archive.status):
        return JsonText(said) if isinstance(said, str) else said  # a list has it as JSON, which is not parsed
    return {**(json.loads(said) if isinstance(said, str) else said), "providerStatus": archive.provider_status}
