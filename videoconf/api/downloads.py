"""``/archives/{archiveId}/download``: reading an archive."""

from __future__ import annotations

from marshmallow import fields

from videoconf.api.authentication import caller, requires
from videoconf.api.fields import Schema, UtcTime
from videoconf.api.openapi import Tag
from videoconf.api.permissions import Permission
from videoconf.api.services import services
from videoconf.api.smorest import Blueprint
from videoconf.storage import SignedUrl

blueprint = Blueprint("downloads", __name__, tag=Tag.ARCHIVES)


class ArchiveDownloadSchema(Schema):
    """Where an archive can be read, and until when. Whoever has the URL can read it."""

    url = fields.String(required=True, metadata={"format": "uri"})
    expires_on = UtcTime(required=True, attribute="expires_at")


@blueprint.route("/archives/<string:archive_id>/download", methods=["GET"])
@requires(Permission.GET_MEETING_ARCHIVES)
@blueprint.response(200, ArchiveDownloadSchema)
@blueprint.doc(
    operationId=f"{Tag.ARCHIVES}.downloadArchive",
    responses={409: "CONFLICT", 422: "UNPROCESSABLE_ENTITY", 502: "BAD_GATEWAY", 503: "SERVICE_UNAVAILABLE"},
)
def download_archive(archive_id: str) -> SignedUrl:
    """Give a URL that reads an archive, whole or in ranges, and expires soon.

    It is made anew by each call: signed by the storage target where the archive is there, else asked of the provider.
    """
    return services().downloads.sign(caller(), archive_id)
