"""``/event-subscriptions``: the URLs that receive a tenant's events, and what was delivered to them."""

from __future__ import annotations

import re
from typing import Any

from flask import url_for
from marshmallow import fields
from marshmallow.validate import Length, OneOf, Range

from videoconf.api.authentication import caller, requires
from videoconf.api.events import LAST_POSITION, TYPES
from videoconf.api.failures import fails_with
from videoconf.api.fields import LINK_EXAMPLE, Schema, StrictBoolean, StrictInteger, Text, UtcTime, documented
from videoconf.api.openapi import Tag
from videoconf.api.permissions import Permission
from videoconf.api.services import services
from videoconf.api.smorest import LIST_HEADERS, Blueprint, ListArgs, ListRequest
from videoconf.errors import (
    EncryptionKeyUnknown,
    EncryptionNotConfigured,
    EventCursorExpired,
    EventDeliveryNotFound,
    EventNotKept,
    EventSubscriptionDisabled,
    EventSubscriptionLimit,
)
from videoconf.events import deliveries, subscriptions
from videoconf.events.sender import LONGEST_URL
from videoconf.events.subscription_models import DeliveryStatus, EventSubscription
from videoconf.events.types import PING
from videoconf.events.wire import delivery_values

blueprint = Blueprint("event_subscriptions", __name__, tag=Tag.EVENTS)

URL_EXAMPLE = "https://app.example.com/events"
ID_EXAMPLE = "esub_4b8f0d1c2e6a47d39b5c1a2f"
SECRET_EXAMPLE = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105  # of the specification
_DELIVERY_ID = re.compile(r"[0-9]{1,18}", re.ASCII)
_DELIVERIES = "/event-subscriptions/<string:subscription_id>/deliveries"
_STATUSES = [str(status) for status in DeliveryStatus]


def _url(**kwargs: Any) -> Text:
    described = documented("Receives each event as a POST. https, on a public host.", URL_EXAMPLE, format="uri")
    return Text(max_length=LONGEST_URL, metadata=described, **kwargs)


def _types(**kwargs: Any) -> Any:
    one = fields.String(validate=OneOf(TYPES))
    described = documented("Only these types; null: every type.", ["meeting.ended", "attendee.joined"])
    return fields.List(one, validate=Length(min=1, max=len(TYPES)), allow_none=True, metadata=described, **kwargs)


def _meeting_link(**kwargs: Any) -> Text:
    return Text(
        max_length=255, allow_none=True, metadata=documented("Only of this meeting; null: of every meeting."), **kwargs
    )


def _description(**kwargs: Any) -> Text:
    return Text(max_length=255, allow_none=True, metadata=documented("For people.", "CRM"), **kwargs)


class NewEventSubscriptionSchema(Schema):
    """A subscription to create."""

    url = _url(required=True)
    types = _types(load_default=None)
    meeting_link = _meeting_link(load_default=None)
    description = _description(load_default=None)
    is_enabled = StrictBoolean(data_key="enabled", load_default=True, metadata=documented("Whether events are sent."))


class EventSubscriptionEditSchema(Schema):
    """What may be changed of a subscription. What is not sent stays."""

    url = _url()
    types = _types()
    meeting_link = _meeting_link()
    description = _description()
    is_enabled = StrictBoolean(
        data_key="enabled", metadata=documented("When enabled again, the subscription continues at its position.")
    )


class EventSubscriptionSchema(Schema):
    """A URL that receives events. Never its secret."""

    id = fields.String(metadata=documented("Its id.", ID_EXAMPLE))
    url = fields.String(metadata=documented("Where events are sent.", URL_EXAMPLE))
    types = fields.List(
        fields.String(), allow_none=True, metadata=documented("Only these types; null: every type.", ["meeting.ended"])
    )
    meeting_link = fields.String(allow_none=True, metadata=documented("Only of this meeting.", LINK_EXAMPLE))
    description = fields.String(allow_none=True, metadata=documented("For people.", "CRM"))
    enabled = fields.Boolean(metadata=documented("Whether events are sent."))
    disabled_reason = fields.String(
        allow_none=True, metadata=documented("Why the service disabled it; null where a caller did.")
    )
    position = fields.Integer(metadata=documented("Every event up to this position was sent once.", 120345))
    failing_since = UtcTime(allow_none=True, metadata=documented("Since when no delivery succeeded; null: it works."))
    next_attempt_on = UtcTime(allow_none=True, metadata=documented("When the next retry is due."))
    created_on = UtcTime()
    modified_on = UtcTime()


class CreatedEventSubscriptionSchema(EventSubscriptionSchema):
    """A subscription with its secret, which is shown this once."""

    secret = fields.String(metadata=documented("Signs the deliveries; keep it.", SECRET_EXAMPLE))


class EventSecretSchema(Schema):
    """A new secret, which is shown this once."""

    secret = fields.String(metadata=documented("Signs the deliveries from now on; keep it.", SECRET_EXAMPLE))


class ReplaySchema(Schema):
    """From where to send again."""

    after = StrictInteger(
        required=True,
        validate=Range(0, LAST_POSITION),
        metadata=documented("Events behind this position are sent again.", 0),
    )


class EventAttemptSchema(Schema):
    """One attempt to deliver an event."""

    at = UtcTime()
    status = fields.Integer(allow_none=True, metadata=documented("The HTTP status; null: no answer came.", 204))
    duration_ms = fields.Integer(metadata=documented("How long it took, in milliseconds.", 42))
    body = fields.String(allow_none=True, metadata=documented("The first 1,024 bytes of the answer."))
    error = fields.String(allow_none=True, metadata=documented("Why no answer came."))


class EventDeliverySchema(Schema):
    """One event at one subscription, with its latest attempts."""

    id = fields.Integer(metadata=documented("Its id.", 17))
    event_id = fields.String(metadata=documented("The `webhook-id` of every attempt.", "evt_5d1f0c2be7a94c66b1d03a7f"))
    type = fields.String(metadata=documented("The event's type; `ping`: a test.", PING, enum=[*TYPES, PING]))
    position = fields.Integer(allow_none=True, metadata=documented("The event's position; null: a test."))
    status = fields.String(
        metadata=documented("`pending`: it waits for its next attempt.", "succeeded", enum=_STATUSES)
    )
    attempts = fields.List(fields.Nested(EventAttemptSchema), metadata=documented("The latest ones, oldest first."))
    next_attempt_on = UtcTime(allow_none=True, metadata=documented("When the next attempt is due."))
    created_on = UtcTime()


class DeliveryArgs(ListArgs):
    """Which deliveries, and which part of them."""

    status = fields.String(load_default=None, validate=OneOf(_STATUSES), metadata=documented("Only these."))


@blueprint.route("/event-subscriptions", methods=["POST"])
@requires(Permission.MANAGE_EVENT_SUBSCRIPTIONS)
@fails_with(EventSubscriptionLimit, EncryptionNotConfigured)
@blueprint.arguments(NewEventSubscriptionSchema, example={"url": URL_EXAMPLE, "types": ["meeting.ended"]})
@blueprint.response(201, CreatedEventSubscriptionSchema)
@blueprint.doc(operationId=f"{Tag.EVENTS}.createSubscription")
def create_subscription(new: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Subscribe a URL to the events from now on. The answer shows the secret, this once.

    Deliveries are Standard Webhooks: signed, at least once, in any order; `sequence` orders them.
    """
    created, secret = services().subscriptions.create(caller(), new)
    place = url_for("event_subscriptions.get_subscription", subscription_id=created.public_id)
    return {**subscription_values(created), "secret": secret}, {"Location": place, "Cache-Control": "no-store"}


@blueprint.route("/event-subscriptions", methods=["GET"])
@requires(Permission.MANAGE_EVENT_SUBSCRIPTIONS)
@blueprint.arguments(ListArgs, location="query")
@blueprint.response(200, EventSubscriptionSchema(many=True), headers=LIST_HEADERS)
@blueprint.doc(operationId=f"{Tag.EVENTS}.getSubscriptions")
def list_subscriptions(args: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """List the tenant's subscriptions, newest first."""
    asked = ListRequest(args, subscriptions.BY_ID)
    found = services().subscriptions.list_part(caller(), asked.part)
    return [subscription_values(one) for one in found.items], asked.headers(found)


@blueprint.route("/event-subscriptions/<string:subscription_id>", methods=["GET"])
@requires(Permission.MANAGE_EVENT_SUBSCRIPTIONS)
@blueprint.response(200, EventSubscriptionSchema)
@blueprint.doc(operationId=f"{Tag.EVENTS}.getSubscription")
def get_subscription(subscription_id: str) -> dict[str, Any]:
    """Read a subscription."""
    return subscription_values(services().subscriptions.get(caller(), subscription_id))


@blueprint.route("/event-subscriptions/<string:subscription_id>", methods=["PATCH"])
@requires(Permission.MANAGE_EVENT_SUBSCRIPTIONS)
@blueprint.arguments(EventSubscriptionEditSchema, example={"enabled": True})
@blueprint.response(200, EventSubscriptionSchema)
@blueprint.doc(operationId=f"{Tag.EVENTS}.editSubscription")
def edit_subscription(changes: dict[str, Any], subscription_id: str) -> dict[str, Any]:
    """Change a subscription. When you enable it again, it continues at its position."""
    return subscription_values(services().subscriptions.edit(caller(), subscription_id, changes))


@blueprint.route("/event-subscriptions/<string:subscription_id>", methods=["DELETE"])
@requires(Permission.MANAGE_EVENT_SUBSCRIPTIONS)
@blueprint.response(204)
@blueprint.doc(operationId=f"{Tag.EVENTS}.deleteSubscription")
def delete_subscription(subscription_id: str) -> None:
    """Delete a subscription and its deliveries."""
    services().subscriptions.delete(caller(), subscription_id)


@blueprint.route("/event-subscriptions/<string:subscription_id>/rotate-secret", methods=["POST"])
@requires(Permission.MANAGE_EVENT_SUBSCRIPTIONS)
@fails_with(EncryptionNotConfigured, EncryptionKeyUnknown)
@blueprint.response(200, EventSecretSchema)
@blueprint.doc(operationId=f"{Tag.EVENTS}.rotateSecret")
def rotate_secret(subscription_id: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Make a new secret and show it, this once. For 24 hours the one before signs beside it."""
    secret = services().subscriptions.rotate_secret(caller(), subscription_id)
    return {"secret": secret}, {"Cache-Control": "no-store"}


@blueprint.route("/event-subscriptions/<string:subscription_id>/test", methods=["POST"])
@requires(Permission.MANAGE_EVENT_SUBSCRIPTIONS)
@fails_with(EventSubscriptionDisabled)
@blueprint.response(202, EventDeliverySchema)
@blueprint.doc(operationId=f"{Tag.EVENTS}.testSubscription")
def test_subscription(subscription_id: str) -> tuple[dict[str, Any], int]:
    """Send one `ping`. The subscription's deliveries show the outcome."""
    return delivery_values(services().deliveries.test(caller(), subscription_id)), 202


@blueprint.route("/event-subscriptions/<string:subscription_id>/replay", methods=["POST"])
@requires(Permission.MANAGE_EVENT_SUBSCRIPTIONS)
@fails_with(EventCursorExpired)
@blueprint.arguments(ReplaySchema, example={"after": 0})
@blueprint.response(202)
@blueprint.doc(operationId=f"{Tag.EVENTS}.replay")
def replay(args: dict[str, Any], subscription_id: str) -> tuple[str, int]:
    """Send every event behind a position again, each with the `webhook-id` that it had."""
    services().subscriptions.replay(caller(), subscription_id, args["after"])
    return "", 202


@blueprint.route(_DELIVERIES, methods=["GET"])
@requires(Permission.MANAGE_EVENT_SUBSCRIPTIONS)
@blueprint.arguments(DeliveryArgs, location="query")
@blueprint.response(200, EventDeliverySchema(many=True), headers=LIST_HEADERS)
@blueprint.doc(operationId=f"{Tag.EVENTS}.getDeliveries")
def list_deliveries(args: dict[str, Any], subscription_id: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """List the deliveries of a subscription with their outcomes, newest first."""
    asked = ListRequest(args, deliveries.BY_ID)
    found = services().deliveries.list_part(caller(), subscription_id, args["status"], asked.part)
    return [delivery_values(one) for one in found.items], asked.headers(found)


@blueprint.route(
    "/event-subscriptions/<string:subscription_id>/deliveries/<string:delivery_id>/retry", methods=["POST"]
)
@requires(Permission.MANAGE_EVENT_SUBSCRIPTIONS)
@fails_with(EventSubscriptionDisabled, EventNotKept)
@blueprint.response(202)
@blueprint.doc(operationId=f"{Tag.EVENTS}.retryDelivery")
def retry_delivery(subscription_id: str, delivery_id: str) -> tuple[str, int]:
    """Send one delivery again now."""
    # Not a converter of the route: another id than a number would be answered before it is known who calls.
    if not _DELIVERY_ID.fullmatch(delivery_id):
        services().subscriptions.get(caller(), subscription_id)
        raise EventDeliveryNotFound
    services().deliveries.retry(caller(), subscription_id, int(delivery_id))
    return "", 202


def subscription_values(row: EventSubscription) -> dict[str, Any]:
    """Return what callers see of a subscription."""
    return {
        "id": row.public_id,
        "url": row.url,
        "types": row.types,
        "meetingLink": row.meeting_link,
        "description": row.description,
        "enabled": row.is_enabled,
        "disabledReason": row.disabled_reason,
        "position": row.position,
        "failingSince": row.failing_since,
        "nextAttemptOn": row.retry_at if row.is_enabled else None,
        "createdOn": row.created_on,
        "modifiedOn": row.modified_on,
    }
