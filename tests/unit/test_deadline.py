"""A deadline bounds all calls inside its block together; an inner one never gives more time than an outer one."""

import time

import pytest

from videoconf.providers.deadline import PROVIDER_BUDGET_SECONDS, provider_deadline, seconds_left


def test_budget_is_whole_outside_any_deadline() -> None:
    assert seconds_left() == PROVIDER_BUDGET_SECONDS == 10.0


def test_deadline_of_ten_seconds_holds_unless_another_is_given() -> None:
    with provider_deadline():
        assert 9.5 < seconds_left() <= 10


@pytest.mark.parametrize(("outer", "inner", "left"), [(5, 50, 5), (50, 5, 5), (5, 5, 5)])
def test_nearer_of_two_deadlines_holds(outer: float, inner: float, left: float) -> None:
    with provider_deadline(outer):
        with provider_deadline(inner):
            assert left - 0.5 < seconds_left() <= left
        assert outer - 0.5 < seconds_left() <= outer
    assert seconds_left() == PROVIDER_BUDGET_SECONDS


def test_elapsed_time_shortens_the_deadline() -> None:
    with provider_deadline(0.2):
        time.sleep(0.1)
        assert 0 <= seconds_left() <= 0.1
        time.sleep(0.15)
        assert seconds_left() == 0.0


def test_deadline_ends_with_an_exception() -> None:
    with pytest.raises(RuntimeError), provider_deadline(0.1):
        raise RuntimeError
    assert seconds_left() == PROVIDER_BUDGET_SECONDS
