"""The laws of an archive's life: whatever a provider says, in whatever order."""

import dataclasses
import functools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from videoconf.archives.lifecycle import RANK, RUNNING, UNKNOWN, UNSETTLED, Known, merge, next_check_seconds
from videoconf.providers import ArchiveState, ArchiveStatus

START = datetime(2026, 1, 1, tzinfo=UTC)
times = st.none() | st.integers(0, 3).map(lambda minutes: START + timedelta(minutes=minutes))
numbers = st.none() | st.integers(0, 3)
statuses = st.none() | st.sampled_from(ArchiveStatus)


def state(status, **members):
    word = "baffled" if status is None else f"is-{status}"
    return ArchiveState("a", "s", members.pop("word", word), status, **members)


states = st.builds(
    state,
    statuses,
    name=st.none() | st.sampled_from(["one", "two"]),
    updated_at=times,
    duration_seconds=numbers,
    size_bytes=numbers,
    reason=st.none() | st.sampled_from(["because", "so"]),
    metadata=st.dictionaries(st.sampled_from("kl"), st.integers(0, 2)),
)
lists = st.lists(states, max_size=7)


def fold(said):
    return functools.reduce(merge, said, Known())


def fate(known):
    """What does not depend on the order."""
    return (known.status, known.reason, known.provider_updated_at, known.duration_seconds, known.size_bytes)


@given(lists, states)
def test_the_rank_never_decreases(said, late):
    known = fold(said)
    after = merge(known, late)
    assert RANK[after.status] >= RANK[known.status]
    if late.status is None or RANK[late.status] < RANK[known.status]:
        assert (after.status, after.reason) == (known.status, known.reason)


@given(lists.flatmap(lambda said: st.tuples(st.just(said), st.permutations(said))))
def test_the_order_changes_nothing(orders):
    said, shuffled = orders
    assert fate(fold(said)) == fate(fold(shuffled))


@given(lists, lists)
def test_repetition_changes_nothing(said, more):
    assert fate(fold(said + more + said)) == fate(fold(said + more))


@given(lists)
def test_highest_reported_rank_holds(said):
    ranks = [RANK[one.status] for one in said if one.status is not None]
    assert RANK[fold(said).status] == max(ranks, default=0)


@given(lists, states)
def test_gaps_are_filled_and_nothing_known_is_lost(said, late):
    known = fold(said)
    after = merge(known, late)
    for number in ("duration_seconds", "size_bytes"):
        assert (getattr(after, number) or 0) == max(getattr(known, number) or 0, getattr(late, number) or 0)
    assert after.name == (known.name or late.name)
    assert after.meta_data.keys() == known.meta_data.keys() | late.metadata.keys()


def test_started_and_paused_alternate_by_the_providers_time():
    late = state(ArchiveStatus.STARTED, updated_at=START)
    known = fold([state(ArchiveStatus.PAUSED, updated_at=START + timedelta(minutes=1)), late])
    assert known.status == "paused"
    again = state(ArchiveStatus.STARTED, updated_at=START + timedelta(minutes=2))
    assert merge(known, again).status == "started"


def test_duration_decides_between_states_without_a_time():
    said = [state(status, duration_seconds=seconds) for status, seconds in (("paused", 9), ("started", 4))]
    assert fold(said).status == fold(said[::-1]).status == "paused"


def test_a_short_recording_is_uploaded_before_it_is_stopped():
    uploaded = state(ArchiveStatus.UPLOADED, size_bytes=10, reason="user initiated")
    stopped = state(ArchiveStatus.STOPPED, duration_seconds=3, reason="late", metadata={"sha256sum": "x"})
    known = fold([uploaded, stopped])
    assert (known.status, known.reason) == ("uploaded", "user initiated")
    assert (known.duration_seconds, known.size_bytes, known.meta_data) == (3, 10, {"sha256sum": "x"})


def test_metadata_of_the_status_in_force_wins():
    stopped = state(ArchiveStatus.STOPPED, metadata={"checksum": "unfinished"})
    available = state(ArchiveStatus.AVAILABLE, metadata={"checksum": "right"})
    assert fold([stopped, available]).meta_data == fold([available, stopped]).meta_data == {"checksum": "right"}


def test_a_name_that_is_known_stays():
    renamed = Known(name="ours")
    assert merge(renamed, state(ArchiveStatus.STOPPED, name="theirs")).name == "ours"


def test_unknown_status_is_kept_verbatim_and_moves_nothing():
    stopped = fold([state(ArchiveStatus.STOPPED, updated_at=START)])
    after = merge(stopped, state(None, word="transmogrified", updated_at=START))
    assert dataclasses.replace(after, provider_status=stopped.provider_status) == stopped
    assert after.provider_status == "transmogrified"
    assert merge(stopped, state(None, word="old", updated_at=START - timedelta(1))).provider_status == "is-stopped"
    assert fold([state(None, word="new")]).status == UNKNOWN


def test_every_status_of_a_provider_has_a_rank():
    assert set(ArchiveStatus) < set(RANK)


def test_only_unsettled_archives_are_checked_again():
    for status in RANK:
        assert (next_check_seconds(status, is_automatic=False) is not None) is (status in UNSETTLED)
        assert next_check_seconds(status, is_automatic=True) is not None, "the next archive may have begun"
    assert set(RUNNING) < set(UNSETTLED)
