"""``/audit``: who changed what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from videoconf.api.authentication import caller, requires
from videoconf.api.fields import LINK_EXAMPLE, Schema, Text, UtcTime, documented
from videoconf.api.openapi import Tag
from videoconf.api.permissions import Permission
from videoconf.api.smorest import LIST_HEADERS, Blueprint, ListArgs, ListRequest
from videoconf.audit import NEWEST_FIRST, AuditEntry, EntryFilter, list_entries
from videoconf.formats import camel_cased

blueprint = Blueprint("audit", __name__, tag=Tag.OPERATIONS)


class AuditArgs(ListArgs):
    """Which entries, and which part of them."""

    meeting_link = Text(max_length=255, load_default=None, metadata=documented("Of this meeting."))
    actor = Text(max_length=255, load_default=None, metadata=documented("By this actor."))
    action = Text(
        max_length=255, load_default=None, metadata=documented("Of this kind, like `meeting.ended`; not with `actor`.")
    )
    since = UtcTime(load_default=None, metadata=documented("At this time or later."))
    until = UtcTime(load_default=None, metadata=documented("Before this time."))


class AuditEntrySchema(Schema):
    """One change."""

    at = UtcTime(metadata=documented("When."))
    actor = fields.String(metadata=documented("Who: the `sub` of the bearer token.", "backend"))
    actor_type = fields.String(
        allow_none=True,
        metadata=documented("`caller`, `operator`, `system` or `provider`; null in entries of old releases.", "caller"),
    )
    action = fields.String(metadata=documented("What.", "meeting.ended"))
    meeting_link = fields.String(allow_none=True, metadata=documented("Of which meeting.", LINK_EXAMPLE))
    target = fields.String(allow_none=True, metadata=documented("What was changed, where it is not the meeting."))
    before = fields.Dict(
        allow_none=True, metadata=documented("What changed, as it was; `(not recorded)` of what is yours to fill.")
    )
    after = fields.Dict(allow_none=True, metadata=documented("What changed, as it is since."))
    request_id = fields.String(allow_none=True, metadata=documented("The request that did it, as the caller named it."))
    server_request_id = fields.String(
        allow_none=True, metadata=documented("The service's own id of that request, which no caller chooses.")
    )


@blueprint.route("/audit", methods=["GET"])
@requires(Permission.GET_AUDIT_ENTRIES)
@blueprint.arguments(AuditArgs, location="query")
@blueprint.response(200, AuditEntrySchema(many=True), headers=LIST_HEADERS)
@blueprint.doc(operationId=f"{Tag.OPERATIONS}.getAuditEntries")
def list_audit_entries(args: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """List who changed what, newest first.

    Filter by at most one of `actor` and `action`, with or without `meetingLink` and a time.
    """
    asked = ListRequest(args, NEWEST_FIRST)
    found = list_entries(caller(), EntryFilter(**args), asked.part)
    return [_values(entry) for entry in found.items], asked.headers(found)


def _values(entry: AuditEntry) -> dict[str, Any]:
    return {
        "at": entry.at,
        "actor": entry.actor,
        "actorType": entry.actor_type,
        "action": entry.action,
        "meetingLink": entry.meeting_link,
        "target": entry.target,
        "before": _changed(entry.before),
        "after": _changed(entry.after),
        "requestId": entry.request_id,
        "serverRequestId": entry.server_request_id,
    }


def _changed(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if values is None else camel_cased(values)
