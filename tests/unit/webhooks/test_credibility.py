"""An event's times are believed up to the tolerance, and not a second beyond it."""

from datetime import UTC, datetime, timedelta

import pytest

from videoconf.providers import EventKind, ProviderEvent
from videoconf.webhooks.credibility import arrives_in_time, credible

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HORIZON = timedelta(hours=5)
FARTHEST = timedelta(hours=48 + 5)
EARLIEST = NOW - timedelta(hours=24)


def event(at: datetime | None, connected_at: datetime | None = None) -> ProviderEvent:
    return ProviderEvent(EventKind.JOINED, "key", at=at, connected_at=connected_at)


@pytest.mark.parametrize(
    ("distance", "believed"),
    [
        (timedelta(), True),
        (FARTHEST, True),
        (FARTHEST + SECOND, False),
        (-FARTHEST, True),
        (-FARTHEST - SECOND, False),
    ],
)
def test_event_arrives_in_time_up_to_tolerance(distance: timedelta, believed: bool) -> None:
    assert arrives_in_time(event(NOW + distance), NOW, HORIZON) is believed


def test_event_without_time_arrives_in_time() -> None:
    assert arrives_in_time(event(None), NOW, timedelta())


@pytest.mark.parametrize(
    ("at", "believed"), [(EARLIEST, True), (EARLIEST - SECOND, False), (NOW + 999 * HORIZON, True)]
)
def test_event_is_a_day_older_than_its_meeting_at_most(at: datetime, believed: bool) -> None:
    said = event(at)
    assert credible(said, NOW) == (said if believed else None)


def test_event_without_time_is_credible() -> None:
    for since in (None, EARLIEST - SECOND):
        said = event(None, since)
        assert credible(said, NOW) is said


@pytest.mark.parametrize(
    ("since", "believed"),
    [
        (NOW, True),
        (EARLIEST, True),
        (EARLIEST - SECOND, False),
        (NOW + timedelta(minutes=5), True),
        (NOW + timedelta(minutes=5) + SECOND, False),
    ],
)
def test_connection_time_that_cannot_be_true_is_left_out(since: datetime, believed: bool) -> None:
    assert credible(event(NOW, since), NOW) == event(NOW, since if believed else None)


def test_event_of_doubtful_time_does_not_pass_by_its_connection() -> None:
    assert credible(event(EARLIEST - SECOND, EARLIEST), NOW) is None
