"""The log of events, and the subscriptions that it is sent to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from videoconf.errors.base import VideoconfError
from videoconf.errors.conflict import Conflict
from videoconf.errors.not_found import NotFound
from videoconf.errors.request import RequestError


class EventSubscriptionNotFound(NotFound):
    """No event subscription of the tenant has this id."""

    code = "event_subscription_not_found"
    title = "No such event subscription"


class EventDeliveryNotFound(NotFound):
    """No delivery of this subscription has this id, or it was deleted with age."""

    code = "event_delivery_not_found"
    title = "No such delivery"


class EventSubscriptionDisabled(Conflict):
    """The subscription is disabled, so nothing is sent to it. Enable it first."""

    code = "event_subscription_disabled"
    title = "The event subscription is disabled"


class EventSubscriptionLimit(Conflict):
    """The tenant has as many event subscriptions as it may have."""

    code = "event_subscription_limit"
    title = "The tenant has too many event subscriptions"


class EventNotKept(Conflict):
    """The event was deleted with age, so it cannot be sent again."""

    code = "event_not_kept"
    title = "The event was deleted"


class EventCursorExpired(RequestError):
    """Retention deleted the events after this position; ``oldestPosition`` is the oldest position to continue from."""

    code = "cursor_expired"
    status = 410
    title = "The position is older than the log"
    members: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "oldestPosition": {
            "type": "integer",
            "description": "The oldest position that `after` can name.",
            "example": 120344,
        }
    }


class TooManyWaiters(VideoconfError):
    """As many requests as possible wait for events already: 8 in one process, and 2 of one tenant."""

    code = "too_many_waiters"
    status = 503
    title = "Too many requests wait for events"
