"""How often a provider is asked who is connected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from videoconf.providers import Capability

if TYPE_CHECKING:
    from videoconf.hooks import Providers
    from videoconf.settings import Settings

LEAST_PERIOD_SECONDS = 30.0
"""The shortest interval between two questions to a provider, even if it soon stops retrying webhooks."""


def roster_periods(providers: Providers, settings: Settings) -> dict[str, float]:
    """Return the seconds between two questions to each provider that can be asked.

    A provider is asked as often as the setting says, and more often where it soon gives up repeating a webhook: what it
    gave up is found by its list alone.
    """
    return {
        provider.key: min(
            float(settings.roster_seconds),
            max(provider.capabilities.retry_horizon.total_seconds(), LEAST_PERIOD_SECONDS),
        )
        for provider in providers.with_capability(Capability.ROSTER)
    }


def shortest_period(providers: Providers, settings: Settings) -> float:
    """Return how often the recurring job runs, in seconds."""
    return min(roster_periods(providers, settings).values(), default=float(settings.roster_seconds))
