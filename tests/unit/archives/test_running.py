"""A running archive that pauses and goes on: the later statement counts, by its time or else by its duration."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from videoconf.archives.lifecycle import Known, merge
from videoconf.providers import ArchiveState, ArchiveStatus

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def said(status: ArchiveStatus, seconds: int | None = None, minutes: int | None = None) -> ArchiveState:
    updated_at = None if minutes is None else AT + timedelta(minutes=minutes)
    return ArchiveState("a", "s", str(status), status, duration_seconds=seconds, updated_at=updated_at)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_longest_duration_counts_if_no_time_is_reported(order: tuple[int, ...]) -> None:
    statements = [
        said(ArchiveStatus.STARTED),
        said(ArchiveStatus.PAUSED, seconds=5),
        said(ArchiveStatus.STARTED, seconds=9),
    ]
    known = Known()
    for place in order:
        known = merge(known, statements[place])
    assert (known.status, known.duration_seconds) == ("started", 9)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_latest_time_counts_whatever_the_duration(order: tuple[int, ...]) -> None:
    statements = [
        said(ArchiveStatus.STARTED, seconds=9, minutes=1),
        said(ArchiveStatus.PAUSED, seconds=1, minutes=2),
        said(ArchiveStatus.STARTED, minutes=0),
    ]
    known = Known()
    for place in order:
        known = merge(known, statements[place])
    assert (known.status, known.duration_seconds) == ("paused", 9)


def test_duration_of_zero_counts_as_missing() -> None:
    for first, second in permutations((said(ArchiveStatus.STARTED), said(ArchiveStatus.PAUSED, seconds=0))):
        known = merge(merge(Known(), first), second)
        assert (known.status, known.duration_seconds) == ("started", 0), "the word decides"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_one_second_is_later_than_no_duration(order: tuple[int, int]) -> None:
    statements = [said(ArchiveStatus.STARTED), said(ArchiveStatus.PAUSED, seconds=1)]
    known = Known()
    for place in order:
        known = merge(known, statements[place])
    assert known.status == "paused"
