"""An event as it is written: in ``GET /events``, and as the body of a delivery."""

from __future__ import annotations

import json
from typing import Any

from videoconf.events.models import Event
from videoconf.events.subscription_models import EventDelivery
from videoconf.events.types import PING
from videoconf.formats import utc_text


def event_values(event: Event) -> dict[str, Any]:
    """Return an event in JSON's types."""
    return {
        "id": event.id,
        "position": event.position,
        "type": event.type,
        "at": utc_text(event.at),
        "tenant": event.tenant,
        "meetingLink": event.meeting_link,
        "extId": event.ext_id,
        "sequence": event.sequence,
        "data": event.data,
    }


def ping_values(delivery: EventDelivery, tenant: str, subscription_id: str) -> dict[str, Any]:
    """Return a test delivery, which is not an event of the log."""
    return {
        "id": delivery.event_id,
        "position": None,
        "type": PING,
        "at": utc_text(delivery.created_on),
        "tenant": tenant,
        "meetingLink": None,
        "extId": None,
        "sequence": None,
        "data": {"subscriptionId": subscription_id},
    }


def delivery_values(row: EventDelivery) -> dict[str, Any]:
    """Return what callers see of a delivery, in JSON's types."""
    due = row.next_attempt_at
    return {
        "id": row.id,
        "eventId": row.event_id,
        "type": row.type,
        "position": row.position,
        "status": row.status,
        "attempts": row.attempts,
        "nextAttemptOn": None if due is None else utc_text(due),
        "createdOn": utc_text(row.created_on),
    }


def body_of(values: dict[str, Any]) -> bytes:
    """Write the body of a delivery."""
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")
