"""``/archives/storage-target``: where the archives of the caller's tenant go."""

from __future__ import annotations

from typing import Any

from flask import Response

from videoconf.api.authentication import caller, requires
from videoconf.api.described_kinds import COMPONENT, SHOWN_COMPONENT
from videoconf.api.failures import PROVIDER, STORAGE, fails_with
from videoconf.api.http import preferred_type
from videoconf.api.json_body import json_body
from videoconf.api.openapi import Tag
from videoconf.api.permissions import Permission
from videoconf.api.services import services
from videoconf.api.smorest import NULL_AS_TEXT, Blueprint
from videoconf.errors import (
    CapabilityUnsupported,
    StorageConflict,
    StorageTargetNotFound,
    StorageTargetRejected,
    ValidationFailed,
)
from videoconf.storage import StorageTarget
from videoconf.storage.port import load_configuration

blueprint = Blueprint("storage_targets", __name__, tag=Tag.ARCHIVES)


@blueprint.route("/archives/storage-target", methods=["PUT"])
@requires(Permission.SET_MEETING_UPLOAD_TARGET)
@fails_with(CapabilityUnsupported, StorageConflict, StorageTargetRejected, *PROVIDER, *STORAGE)
@blueprint.response(200, {"type": "null"})
@blueprint.doc(
    operationId=f"{Tag.ARCHIVES}.setUploadTarget",
    requestBody={
        "required": True,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{COMPONENT}"}}},
    },
    responses={200: {"content": NULL_AS_TEXT}},
)
def set_storage_target() -> Response:
    """Set where the archives of the caller's tenant go; the answer is `null`.

    The service writes an object, reads it back and deletes it, then configures the providers that upload by themselves.
    Only when all of this has worked is it in force; until then, and on any error, the former one is. The default
    tenant may leave the credentials out where the service's settings have them. `Accept` chooses
    between `application/json` (the default) and `text/plain`; the body is the same.
    """
    content_type = preferred_type("application/json", "text/plain")
    services().target_changes.set(caller(), *_loaded(json_body()))
    return Response("null", content_type=content_type)


@blueprint.route("/archives/storage-target", methods=["GET"])
@requires(Permission.SET_MEETING_UPLOAD_TARGET)
@blueprint.response(200, {"$ref": f"#/components/schemas/{SHOWN_COMPONENT}"})
@fails_with(StorageTargetNotFound)
@blueprint.doc(operationId=f"{Tag.ARCHIVES}.getUploadTarget")
def get_storage_target() -> dict[str, Any]:
    """Read the target in force, without its secrets; of an access key, the last four characters are shown."""
    row = services().targets.get(caller())
    return {**row.description, "createdOn": row.created_on, "createdBy": row.created_by}


@blueprint.route("/archives/storage-target", methods=["DELETE"])
@requires(Permission.SET_MEETING_UPLOAD_TARGET)
@blueprint.response(204)
@fails_with(StorageTargetNotFound, StorageConflict, *PROVIDER, *STORAGE)
@blueprint.doc(operationId=f"{Tag.ARCHIVES}.deleteUploadTarget")
def delete_storage_target() -> None:
    """Let archives stay with the provider again. What is in the target stays there and can still be downloaded."""
    services().target_changes.remove(caller())


def _loaded(document: Any) -> tuple[type[StorageTarget], dict[str, Any]]:
    """Return the kind that a body names, and what the kind's own schema makes of the rest."""
    if not isinstance(document, dict):
        raise ValidationFailed(errors={"$": ["Must be an object."]})
    changes = services().target_changes
    kind = changes.get_kind(document.pop("name", None))
    return kind, load_configuration(kind, changes.with_credentials(caller(), kind, document))
