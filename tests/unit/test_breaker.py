"""The breaker's states, by an injected clock."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videoconf.breaker import Breaker, BreakerState, Verdict
from videoconf.errors import ProviderAuthFailed, ProviderUnavailable


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def stopwatch():
    return Clock()


@pytest.fixture
def breaker(stopwatch):
    return Breaker(stopwatch)


def call(breaker, verdict, times=1):
    for _ in range(times):
        breaker.leave(breaker.enter(), verdict)


def state(breaker):
    return breaker.read()[0]


def opened(breaker, stopwatch):
    call(breaker, Verdict.FAILED, 5)
    assert state(breaker) is BreakerState.OPEN


def half_opened(breaker, stopwatch):
    opened(breaker, stopwatch)
    stopwatch.now += 12
    assert state(breaker) is BreakerState.HALF_OPEN


def test_states_have_the_words_that_the_api_shows():
    assert [state.value for state in BreakerState] == ["closed", "open", "half_open", "misconfigured"]


def test_breaker_opens_at_the_fifth_failure(breaker):
    call(breaker, Verdict.FAILED, 4)
    assert state(breaker) is BreakerState.CLOSED
    call(breaker, Verdict.FAILED)
    assert state(breaker) is BreakerState.OPEN
    with pytest.raises(ProviderUnavailable):
        breaker.enter()


def test_breaker_stays_closed_while_most_calls_are_answered(breaker):
    call(breaker, Verdict.ANSWERED, 2)
    call(breaker, Verdict.FAILED, 7)
    assert state(breaker) is BreakerState.CLOSED
    call(breaker, Verdict.FAILED)  # 8 of 10
    assert state(breaker) is BreakerState.OPEN


def test_inconclusive_calls_do_not_count(breaker):
    call(breaker, None, 50)
    call(breaker, Verdict.FAILED, 5)
    assert state(breaker) is BreakerState.OPEN


def test_every_second_call_is_still_answered_if_half_fail(breaker, stopwatch):
    answered = 0
    for number in range(200):
        stopwatch.now += 0.5
        try:
            ticket = breaker.enter()
        except ProviderUnavailable:
            continue
        answered += number % 2
        breaker.leave(ticket, Verdict.SUCCEEDED if number % 2 else Verdict.FAILED)
    assert answered == 100


@pytest.mark.parametrize(("seconds", "after"), [(30, BreakerState.OPEN), (30.1, BreakerState.CLOSED)])
def test_failures_stop_counting_after_the_window(breaker, stopwatch, seconds, after):
    call(breaker, Verdict.FAILED, 4)
    stopwatch.now += seconds
    call(breaker, Verdict.FAILED)
    assert state(breaker) is after


def test_successes_stop_counting_after_the_window(breaker, stopwatch):
    call(breaker, Verdict.SUCCEEDED, 100)
    stopwatch.now += 31
    call(breaker, Verdict.FAILED, 5)
    assert state(breaker) is BreakerState.OPEN


def test_failures_are_counted_afresh_after_an_opening(breaker, stopwatch):
    half_opened(breaker, stopwatch)
    call(breaker, Verdict.ANSWERED)
    stopwatch.now += 20  # the failures before are over 30 s old by now
    call(breaker, Verdict.FAILED, 4)
    assert state(breaker) is BreakerState.CLOSED
    call(breaker, Verdict.FAILED)
    assert state(breaker) is BreakerState.OPEN


def test_success_does_not_open_the_breaker(breaker, stopwatch):
    """Even when earlier successes stop counting, so that most of the calls that count failed."""
    call(breaker, Verdict.SUCCEEDED, 3)
    stopwatch.now += 20
    call(breaker, Verdict.FAILED, 7)
    stopwatch.now += 11
    call(breaker, Verdict.SUCCEEDED)
    assert state(breaker) is BreakerState.CLOSED
    call(breaker, Verdict.FAILED)
    assert state(breaker) is BreakerState.OPEN


@pytest.mark.parametrize("verdict", [Verdict.ANSWERED, Verdict.SUCCEEDED, None])
def test_only_failures_open_the_breaker(breaker, verdict):
    call(breaker, verdict, 50)
    assert state(breaker) is BreakerState.CLOSED


def test_retry_after_is_the_rest_of_a_spread_open_time(stopwatch):
    rests = set()
    for _ in range(50):
        breaker = Breaker(stopwatch)
        opened(breaker, stopwatch)
        with pytest.raises(ProviderUnavailable) as refusal:
            breaker.check()
        rests.add(refusal.value.retry_after_seconds)
    assert len(rests) > 10
    assert 8 <= min(rests) < max(rests) <= 12
    stopwatch.now += 5
    with pytest.raises(ProviderUnavailable) as refusal:
        breaker.check()
    assert 3 <= refusal.value.retry_after_seconds <= 7


def test_half_open_lets_one_probe_through_at_a_time(breaker, stopwatch):
    half_opened(breaker, stopwatch)
    ticket = breaker.enter()
    with pytest.raises(ProviderUnavailable) as refusal:
        breaker.enter()
    assert refusal.value.retry_after_seconds == 1
    breaker.leave(ticket, Verdict.SUCCEEDED)
    assert state(breaker) is BreakerState.CLOSED
    breaker.enter()
    breaker.enter()


def test_failed_probe_opens_the_breaker_again(breaker, stopwatch):
    half_opened(breaker, stopwatch)
    call(breaker, Verdict.FAILED)
    assert state(breaker) is BreakerState.OPEN


def test_answered_probe_closes_the_breaker(breaker, stopwatch):
    half_opened(breaker, stopwatch)
    call(breaker, Verdict.ANSWERED)
    assert state(breaker) is BreakerState.CLOSED


def test_inconclusive_probe_makes_room_for_another(breaker, stopwatch):
    half_opened(breaker, stopwatch)
    call(breaker, None)
    assert state(breaker) is BreakerState.HALF_OPEN
    breaker.enter()


def test_checking_claims_no_probe(breaker, stopwatch):
    half_opened(breaker, stopwatch)
    breaker.check()
    breaker.check()
    breaker.enter()


def test_call_from_before_the_opening_does_not_close_it(breaker, stopwatch):
    early, other = breaker.enter(), breaker.enter()
    half_opened(breaker, stopwatch)
    breaker.leave(early, Verdict.SUCCEEDED)
    assert state(breaker) is BreakerState.HALF_OPEN
    breaker.leave(other, Verdict.FAILED)
    assert state(breaker) is BreakerState.HALF_OPEN


def test_refused_new_credentials_stop_calls_for_a_minute(breaker, stopwatch):
    call(breaker, Verdict.REFUSED)
    assert state(breaker) is BreakerState.MISCONFIGURED
    with pytest.raises(ProviderAuthFailed):
        breaker.enter()
    stopwatch.now += 59.9
    with pytest.raises(ProviderAuthFailed):
        breaker.enter()
    stopwatch.now += 0.1
    assert state(breaker) is BreakerState.CLOSED
    call(breaker, Verdict.REFUSED)
    assert state(breaker) is BreakerState.MISCONFIGURED


def test_single_refusals_after_a_success_stop_no_call(breaker, stopwatch):
    call(breaker, Verdict.SUCCEEDED)
    call(breaker, Verdict.REFUSED, 2)
    call(breaker, Verdict.SUCCEEDED)
    call(breaker, Verdict.REFUSED, 2)
    assert state(breaker) is BreakerState.CLOSED
    call(breaker, Verdict.REFUSED)
    assert state(breaker) is BreakerState.MISCONFIGURED
    stopwatch.now += 60
    call(breaker, Verdict.REFUSED)  # no longer proven
    assert state(breaker) is BreakerState.MISCONFIGURED


def test_refusals_are_counted_afresh_after_an_opening(breaker, stopwatch):
    call(breaker, Verdict.SUCCEEDED)
    call(breaker, Verdict.REFUSED, 2)
    stopwatch.now += 31
    half_opened(breaker, stopwatch)
    call(breaker, Verdict.ANSWERED)
    call(breaker, Verdict.REFUSED, 2)
    assert state(breaker) is BreakerState.CLOSED
    call(breaker, Verdict.REFUSED)
    assert state(breaker) is BreakerState.MISCONFIGURED


def test_a_success_under_way_clears_misconfigured(breaker):
    under_way = breaker.enter()
    call(breaker, Verdict.REFUSED)
    breaker.leave(under_way, Verdict.SUCCEEDED)
    assert state(breaker) is BreakerState.CLOSED


def test_a_refusal_under_way_does_not_prolong_misconfigured(breaker, stopwatch):
    under_way = breaker.enter()
    call(breaker, Verdict.REFUSED)
    stopwatch.now += 30
    breaker.leave(under_way, Verdict.REFUSED)
    stopwatch.now += 30
    assert state(breaker) is BreakerState.CLOSED


def test_a_refused_probe_says_that_the_provider_is_back(breaker, stopwatch):
    half_opened(breaker, stopwatch)
    call(breaker, Verdict.REFUSED)
    assert state(breaker) is BreakerState.MISCONFIGURED


def test_since_is_when_the_state_began(breaker, stopwatch):
    closed_since = breaker.read()[1]
    opened(breaker, stopwatch)
    assert breaker.read()[1] > closed_since
    assert breaker.read() == breaker.read()


@pytest.mark.parametrize(
    "operation", [Breaker.read, Breaker.check, Breaker.enter, lambda breaker: breaker.leave(1, Verdict.SUCCEEDED)]
)
def test_operation_waits_while_another_thread_changes_the_state(stopwatch, operation):
    """Otherwise it could see, or change, the state of one moment with the time of another."""
    changing, go_on, done = threading.Event(), threading.Event(), threading.Event()
    changer = threading.Thread(target=lambda: breaker.check())

    def clock():
        if threading.current_thread() is changer:
            changing.set()
            assert go_on.wait(10)
        return stopwatch()

    breaker = Breaker(clock)
    other = threading.Thread(target=lambda: (operation(breaker), done.set()))
    changer.start()
    assert changing.wait(10)
    other.start()
    assert not done.wait(0.2)
    go_on.set()
    assert done.wait(10)
    assert state(breaker) is BreakerState.CLOSED


def test_threads_share_one_probe(breaker, stopwatch):
    half_opened(breaker, stopwatch)
    gate = threading.Barrier(8)
    entered, refused = [], []

    def probe():
        gate.wait()
        try:
            entered.append(breaker.enter())
        except ProviderUnavailable:
            refused.append(1)

    threads = [threading.Thread(target=probe) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(entered), len(refused)) == (1, 7)


@given(
    st.lists(st.tuples(st.sampled_from([*Verdict, None]), st.floats(0, 40), st.booleans()), max_size=60),
)
def test_breaker_always_recovers(steps):
    """Whatever happens in whatever order: after a quiet while a call gets through, and a success closes it."""
    stopwatch = Clock()
    breaker = Breaker(stopwatch)
    under_way = []
    for verdict, seconds, finishes_late in steps:
        stopwatch.now += seconds
        try:
            ticket = breaker.enter()
        except (ProviderUnavailable, ProviderAuthFailed):
            continue
        finally:
            if under_way and finishes_late:
                breaker.leave(under_way.pop(0), verdict)
        under_way.append(ticket)
    for ticket in under_way:
        breaker.leave(ticket, None)
    stopwatch.now += 61
    call(breaker, Verdict.SUCCEEDED)
    assert state(breaker) is BreakerState.CLOSED
