"""The OpenAPI document of a service: the operations, which each service has, and its storage kinds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import orjson

if TYPE_CHECKING:
    from flask import Flask

    from videoconf.storage import StorageTarget

OPERATIONS = Path(__file__).with_name("openapi.json")
"""The document without storage kinds, which plugins bring. ``make docs`` writes it."""


class Tag(StrEnum):
    """What groups operations. The first two are the documented ones; the others follow their pattern."""

    SESSIONS = "VideoChatSessionController"
    ARCHIVES = "VideoChatArchiveController"
    DOOR = "DoorController"
    EVENTS = "EventsController"
    OPERATIONS = "OperationsController"


_DOCUMENT = "videoconf.openapi"


def init_document(app: Flask, make: Callable[[], dict[str, Any]]) -> None:
    """Set what makes the document of an application when it is asked for."""
    app.extensions[_DOCUMENT] = make


def complete_document(kinds: Mapping[str, type[StorageTarget]], prefix: str) -> dict[str, Any]:
    """Return the document of a service.

    :param kinds: the storage kinds that it offers.
    :param prefix: the path below which it serves.
    """
    operations: dict[str, Any] = json.loads(OPERATIONS.read_bytes())
    return completed(operations, kinds, prefix)


def completed(operations: dict[str, Any], kinds: Mapping[str, type[StorageTarget]], prefix: str) -> dict[str, Any]:
    """Add to the operations what differs between services."""
    from videoconf.api.described_kinds import describe_kinds  # with apispec, which few processes need

    operations["paths"] = {f"{prefix}{path}": operation for path, operation in operations["paths"].items()}
    describe_kinds(operations["components"]["schemas"], kinds)
    return operations


def openapi_document(app: Flask, root: str = "") -> dict[str, Any]:
    """Return the document of an application.

    :param root: the path prefix that a proxy removes.
    """
    document = cast("dict[str, Any]", app.extensions[_DOCUMENT]())
    document["servers"][0]["url"] = root or "/"
    return document


def as_json(document: dict[str, Any]) -> bytes:
    """Return the document as it is served and as the command line prints it."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)
