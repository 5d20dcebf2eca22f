"""Decide whether an event's times can be true.

A vendor's clock may be wrong, and a stored wrong time does harm for ever. An event that cannot be true is set aside
(:attr:`~videoconf.webhooks.models.EventStatus.QUARANTINED`) and changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from videoconf.providers import ProviderEvent

CLOCK_TOLERANCE = timedelta(hours=48)
"""How far an event's time may be from its arrival, beyond the provider's retries."""
BEFORE_MEETING_TOLERANCE = timedelta(hours=24)
"""How long before the creation of its meeting an event may have happened, by clocks that disagree."""
CONNECTED_TOLERANCE = timedelta(minutes=5)
"""How much later than the event its connection may have begun, by roundings and several clocks of one vendor."""


def arrives_in_time(event: ProviderEvent, received_at: datetime, retry_horizon: timedelta) -> bool:
    """Check an event's time against the time at which the webhook arrived."""
    return event.at is None or abs(event.at - received_at) <= retry_horizon + CLOCK_TOLERANCE


def credible(event: ProviderEvent, meeting_created_on: datetime) -> ProviderEvent | None:
    """Check an event's times against its meeting; return the event, or None when its time cannot be true.

    A connection time that cannot be true is left out of the returned event; the rest of the event stays.
    """
    earliest = meeting_created_on - BEFORE_MEETING_TOLERANCE
    if event.at is not None and event.at < earliest:
        return None
    since = event.connected_at
    if event.at is not None and since is not None and not earliest <= since <= event.at + CONNECTED_TOLERANCE:
        return replace(event, connected_at=None)
    return event
