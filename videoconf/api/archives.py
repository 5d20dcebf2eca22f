"""``/archives``: recordings of meetings. Views parse, ask the domain, and dump."""

from __future__ import annotations

from typing import Any

from flask import Response, url_for

from videoconf.api.archive_schemas import (
    ArchiveArgs,
    ArchiveEditSchema,
    ArchiveSchema,
    ArchivesSchema,
    NewArchiveSchema,
    listed_metadata,
)
from videoconf.api.authentication import caller, requires
from videoconf.api.fields import json_bytes
from videoconf.api.json_body import preferred_type
from videoconf.api.openapi import Tag
from videoconf.api.permissions import Permission
from videoconf.api.services import services
from videoconf.api.smorest import PAGE_HEADERS, Blueprint, page_headers
from videoconf.archives.models import Archive
from videoconf.archives.queries import ArchiveFilter, ListedArchive
from videoconf.providers import ArchiveRequest

blueprint = Blueprint("archives", __name__, tag=Tag.ARCHIVES)


@blueprint.route("/archives", methods=["GET"])
@requires(Permission.GET_MEETING_ARCHIVES)
@blueprint.arguments(ArchiveArgs, location="query")
@blueprint.response(200, ArchivesSchema, headers=PAGE_HEADERS)
@blueprint.doc(operationId=f"{Tag.ARCHIVES}.getArchives")
def list_archives(args: dict[str, Any]) -> Response:
    """List archives, newest first.

    Those being deleted are among them until all their copies are gone. It needs no provider.
    """
    page, page_size = args.pop("page"), args.pop("page_size")
    items, count = services().archives.list_page(caller(), ArchiveFilter(**args), page=page, page_size=page_size)
    # Not by the schema, which takes longer than all the rest of the request. A test compares the two.
    body = json_bytes({"count": count, "items": [_item(row) for row in items]})
    return Response(body, headers=page_headers(page, page_size, count), content_type="application/json")


def _item(row: ListedArchive) -> dict[str, Any]:
    return {
        "id": row.archive_id,
        "name": row.name,
        "sessionId": row.session_id,
        "meetingLink": row.meeting_link,
        "status": row.shown_status,
        "createdOn": row.created_on,
        "durationSeconds": row.duration_seconds,
        "sizeBytes": row.size_bytes,
        "reason": row.reason,
        "uploadTarget": row.upload_target,
        "legalHold": row.legal_hold,
        "metaData": listed_metadata(row),
    }


@blueprint.route("/archives/<string:archive_id>", methods=["GET"])
@requires(Permission.GET_MEETING_ARCHIVES)
@blueprint.response(200, ArchiveSchema)
@blueprint.doc(operationId=f"{Tag.ARCHIVES}.getArchive")
def get_archive(archive_id: str) -> Archive:
    """Read an archive, as the list has it."""
    return services().archives.get(caller(), archive_id)


@blueprint.route("/archives/<string:archive_id>", methods=["DELETE"])
@requires(Permission.DELETE_MEETING_ARCHIVE)
@blueprint.response(200, {"type": "null"}, content_type="text/plain", example="null")
@blueprint.doc(operationId=f"{Tag.ARCHIVES}.deleteArchive")
def delete_archive(archive_id: str) -> Response:
    """Delete an archive at the provider and in the storage target; the answer is `null`.

    Where one of the two is down, the archive stays `deleting` and is deleted later; then this may be repeated.
    `Accept` chooses between `text/plain` (the default) and `application/json`; the body is the same.
    """
    content_type = preferred_type("text/plain", "application/json")
    services().deletion.delete(caller(), archive_id)
    return Response("null", content_type=content_type)


@blueprint.route("/archives/<string:archive_id>", methods=["PATCH"])
@requires(Permission.DELETE_MEETING_ARCHIVE)
@blueprint.arguments(ArchiveEditSchema)
@blueprint.response(204)
@blueprint.doc(operationId=f"{Tag.ARCHIVES}.editArchive")
def edit_archive(changes: dict[str, Any], archive_id: str) -> None:
    """Rename an archive, or put a legal hold on it or take it off."""
    services().archives.edit(caller(), archive_id, changes)


@blueprint.route("/archives/<string:archive_id>/stop", methods=["POST"])
@requires(Permission.STOP_MEETING_ARCHIVE)
@blueprint.response(200, ArchiveSchema)
@blueprint.doc(operationId=f"{Tag.ARCHIVES}.stopArchive")
def stop_archive(archive_id: str) -> Archive:
    """Stop recording; an archive that has stopped stays as it is."""
    return services().archives.stop(caller(), archive_id)


@blueprint.route("/session/<string:meeting_link_id>/archives", methods=["POST"])
@requires(Permission.START_MEETING_ARCHIVE)
@blueprint.arguments(NewArchiveSchema)
@blueprint.response(201, ArchiveSchema)
@blueprint.doc(operationId=f"{Tag.ARCHIVES}.startArchive")
def start_archive(new: dict[str, Any], meeting_link_id: str) -> tuple[Archive, dict[str, str]]:
    """Start recording a meeting, in which somebody has to be."""
    archive = services().archives.start(caller(), meeting_link_id, ArchiveRequest(**new))
    return archive, {"Location": url_for("archives.get_archive", archive_id=archive.archive_id)}
