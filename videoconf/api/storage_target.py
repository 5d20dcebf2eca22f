"""``/archives/storage-target``: where the archives of the caller's tenant go."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import marshmallow
from flask import Response
from marshmallow import fields
from marshmallow.validate import OneOf

from videoconf.api.authentication import caller, requires
from videoconf.api.failures import PROVIDER, STORAGE, fails_with
from videoconf.api.http import preferred_type
from videoconf.api.json_body import json_body
from videoconf.api.openapi import Tag
from videoconf.api.permissions import Permission
from videoconf.api.services import services
from videoconf.api.smorest import NULL_AS_TEXT, Api, Blueprint
from videoconf.containment import raised_by_signal
from videoconf.errors import (
    CapabilityUnsupported,
    StorageConflict,
    StorageTargetNotFound,
    StorageTargetRejected,
    ValidationFailed,
)
from videoconf.storage import StorageTarget
from videoconf.storage.port import load_configuration

logger = logging.getLogger(__name__)

blueprint = Blueprint("storage_targets", __name__, tag=Tag.ARCHIVES)

COMPONENT = "StorageTarget"
SHOWN_COMPONENT = "ShownStorageTarget"


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


def document_kinds(api: Api, kinds: Mapping[str, type[StorageTarget]]) -> None:
    """Document the body of ``PUT`` as one of the kinds that can be set, and what ``GET`` shows as the same in part."""
    schemas = api.spec.components
    names = {kind.wire_name: f"{COMPONENT}{kind.wire_name}" for kind in kinds.values()}
    for kind in kinds.values():
        component, before = names[kind.wire_name], set(schemas.schemas)
        try:
            schemas.schema(component, schema=_documented(kind, component))
            # An example, say, may be anything, also of a schema inside.
            json.dumps([schemas.schemas[name] for name in schemas.schemas.keys() - before])
        except BaseException as error:  # the schema is a plugin's, and serving goes on without it
            if raised_by_signal(error):
                raise
            logger.warning("storage of kind %s cannot be documented: %s", kind.key, type(error).__name__)
            for name in schemas.schemas.keys() - before:
                del schemas.schemas[name]
            properties = {"name": {"type": "string", "enum": [kind.wire_name]}}
            schemas.schema(component, {"type": "object", "properties": properties, "required": ["name"]})
    references = {wire_name: f"#/components/schemas/{name}" for wire_name, name in sorted(names.items())}
    schemas.schema(
        COMPONENT,
        {
            "oneOf": [{"$ref": reference} for reference in references.values()],
            "discriminator": {"propertyName": "name", "mapping": references},
            **_example(kinds.values()),
        },
    )
    schemas.schema(
        SHOWN_COMPONENT,
        {
            "type": "object",
            "description": "What was set, without its secrets.",
            "properties": {
                "name": {"type": "string", "enum": list(references)},
                "createdOn": {"type": "string", "format": "date-time"},
                "createdBy": {"type": "string"},
            },
            "required": ["name", "createdOn", "createdBy"],
        },
    )


def _example(kinds: Iterable[type[StorageTarget]]) -> dict[str, Any]:
    """Return the example of a kind that has one, so that the documentation page sends what works."""
    bodies = [{"name": kind.wire_name, **kind.example} for kind in kinds if kind.example]
    return {"example": bodies[0]} if bodies else {}


def _documented(kind: type[StorageTarget], component: str) -> marshmallow.Schema:
    """Return the schema of a whole body: of a kind's configuration with its name."""
    name = fields.String(required=True, validate=OneOf([kind.wire_name]))
    schema: type[marshmallow.Schema] = type(component, (kind.configuration_schema,), {"name": name})
    return schema(partial=tuple(vars(kind.Settings).get("__dataclass_fields__", ())) if kind.Settings else ())
