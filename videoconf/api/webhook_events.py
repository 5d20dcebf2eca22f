"""``/webhook-events``: the outcome of each webhook event, and why webhooks were refused."""

from __future__ import annotations

from typing import Any

from marshmallow import fields
from marshmallow.validate import OneOf

from videoconf.api.authentication import caller, requires
from videoconf.api.fields import LINK_EXAMPLE, Schema, Text, UtcTime, documented
from videoconf.api.openapi import Tag
from videoconf.api.permissions import Permission
from videoconf.api.services import services
from videoconf.api.smorest import LIST_HEADERS, Blueprint, ListArgs, ListRequest
from videoconf.errors import Forbidden
from videoconf.formats import camel_cased
from videoconf.webhooks.models import REJECTED, EventStatus
from videoconf.webhooks.queries import STATUSES, Wanted, WebhookRecord, list_records, order_of

blueprint = Blueprint("webhook_events", __name__, tag=Tag.OPERATIONS)


class WebhookEventArgs(ListArgs):
    """Filters, and the part of the list."""

    status = fields.String(
        load_default=None,
        validate=OneOf([str(status) for status in STATUSES]),
        metadata=documented("With this status. `orphan` and `rejected` also need the permission `ManageOperations`."),
    )
    since = UtcTime(load_default=None, metadata=documented("Received by the service at this time or later."))
    meeting_link = Text(max_length=255, load_default=None, metadata=documented("Only events of this meeting."))


class WebhookEventSchema(Schema):
    """One event of a webhook, or one refused webhook. Never contains a body."""

    id = fields.Integer(allow_none=True, metadata=documented("Id for `videoconf webhooks show`; null if refused."))
    provider = fields.String(metadata=documented("The key of the provider."))
    channel = fields.String(metadata=documented("Which of the provider's webhooks.", "session"))
    kind = fields.String(allow_none=True, metadata=documented("What the event reports; null if refused.", "joined"))
    status = fields.String(metadata=documented("The outcome.", "applied", enum=list(STATUSES)))
    reason = fields.String(allow_none=True, metadata=documented("Why it is quarantined or was refused."))
    session_id = fields.String(allow_none=True, metadata=documented("The provider's session id."))
    received_on = UtcTime(metadata=documented("When the service received it."))
    meeting_link = fields.String(allow_none=True, metadata=documented("The meeting of the session.", LINK_EXAMPLE))


@blueprint.route("/webhook-events", methods=["GET"])
@requires(Permission.GET_WEBHOOK_EVENTS)
@blueprint.arguments(WebhookEventArgs, location="query")
@blueprint.response(200, WebhookEventSchema(many=True), headers=LIST_HEADERS)
@blueprint.doc(operationId=f"{Tag.OPERATIONS}.getWebhookEvents")
def list_webhook_events(args: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """List the webhook events of the tenant's meetings with their outcomes, newest first.

    With the permission `ManageOperations` the list also has events that belong to no known meeting, and
    `status=rejected` lists the newest 1,000 refused webhooks of each provider. Totals are counted up to 10,000.
    """
    operates = Permission.MANAGE_OPERATIONS in caller().permissions
    wanted = Wanted(args["status"], args["since"], args["meeting_link"])
    if wanted.status in (REJECTED, EventStatus.ORPHAN) and not operates:
        raise Forbidden(f"The status {wanted.status} needs the permission {Permission.MANAGE_OPERATIONS}.")
    if wanted.status == REJECTED:
        services().refusals.write()
    asked = ListRequest(args, order_of(wanted))
    found = list_records(caller(), wanted, asked.part, without_meeting=operates)
    return [record_values(one) for one in found.items], asked.headers(found)


def record_values(record: WebhookRecord) -> dict[str, Any]:
    """Return what callers see of a webhook."""
    return camel_cased(vars(record))
