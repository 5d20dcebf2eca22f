"""Describe storage kinds as the OpenAPI document has them. Their schemas are plugins'."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import marshmallow
import orjson
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.common import MODIFIERS, resolve_schema_instance
from marshmallow import fields
from marshmallow.validate import OneOf

from videoconf.containment import raised_by_signal
from videoconf.storage import StorageTarget

logger = logging.getLogger(__name__)

VERSION = "3.1.0"
"""The version of OpenAPI."""
COMPONENT = "StorageTarget"
SHOWN_COMPONENT = "ShownStorageTarget"


def schema_name(schema: Any) -> str | None:
    """Name a schema by its class without ``Schema``; one made with ``only=`` and the like is written in place."""
    instance = resolve_schema_instance(schema)
    if any(getattr(instance, modifier) for modifier in MODIFIERS):
        return None
    return type(instance).__name__.removesuffix("Schema")


def describe_kinds(schemas: dict[str, Any], kinds: Mapping[str, type[StorageTarget]]) -> None:
    """Describe the body of ``PUT`` as one of the kinds that can be set, and what ``GET`` shows as the same in part.

    :param schemas: those of the document, to which the kinds are added.
    """
    plugin = MarshmallowPlugin(schema_name_resolver=schema_name)  # type: ignore[arg-type]  # or None
    components = APISpec("", "", VERSION, plugins=[plugin]).components
    components.schemas |= schemas  # a schema of a kind does not take the name of one of these
    names = {kind.wire_name: f"{COMPONENT}{kind.wire_name}" for kind in kinds.values()}
    for kind in kinds.values():
        component, before = names[kind.wire_name], set(components.schemas)
        try:
            components.schema(component, schema=_whole_body(kind, component))
            added = [components.schemas[name] for name in components.schemas.keys() - before]
            describe_defaults(added)
            # An example, say, may be anything, also of a schema inside.
            orjson.dumps(added, option=orjson.OPT_NON_STR_KEYS)
        except BaseException as error:  # the schema is a plugin's, and serving goes on without it
            if raised_by_signal(error):
                raise
            logger.warning("storage of kind %s cannot be documented: %s", kind.key, type(error).__name__)
            for name in components.schemas.keys() - before:
                del components.schemas[name]
            properties = {"name": {"type": "string", "enum": [kind.wire_name]}}
            components.schemas[component] = {"type": "object", "properties": properties, "required": ["name"]}
    references = {wire_name: f"#/components/schemas/{name}" for wire_name, name in sorted(names.items())}
    schemas |= components.schemas
    schemas[COMPONENT] = {
        "oneOf": [{"$ref": reference} for reference in references.values()],
        "discriminator": {"propertyName": "name", "mapping": references},
        **_example(kinds.values()),
    }
    schemas[SHOWN_COMPONENT] = {
        "type": "object",
        "description": "What was set, without its secrets.",
        "properties": {
            "name": {"type": "string", "enum": list(references)},
            "createdOn": {"type": "string", "format": "date-time"},
            "createdBy": {"type": "string"},
        },
        "required": ["name", "createdOn", "createdBy"],
    }


def describe_defaults(schemas: Iterable[dict[str, Any]]) -> None:
    """Describe defaults in words: generators of typed clients would take a ``default`` for "always sent"."""
    for schema in schemas:
        for member in schema.get("properties", {}).values():
            if "default" in member and (default := orjson.dumps(member.pop("default")).decode()) != "null":
                member["description"] = f"{member.get('description', '')} Default: `{default}`.".strip()


def _example(kinds: Iterable[type[StorageTarget]]) -> dict[str, Any]:
    """Return the example of a kind that has one, so that the documentation page sends what works."""
    bodies = [{"name": kind.wire_name, **kind.example} for kind in kinds if kind.example]
    return {"example": bodies[0]} if bodies else {}


def _whole_body(kind: type[StorageTarget], component: str) -> marshmallow.Schema:
    """Return the schema of a whole body: of a kind's configuration with its name."""
    name = fields.String(required=True, validate=OneOf([kind.wire_name]))
    schema: type[marshmallow.Schema] = type(component, (kind.configuration_schema,), {"name": name})
    return schema(partial=tuple(vars(kind.Settings).get("__dataclass_fields__", ())) if kind.Settings else ())
