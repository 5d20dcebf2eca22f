"""The checker of ``make chaos`` catches each sort of broken promise; one that catches nothing proves nothing."""

import pytest

from bench.chaos import Call, Fault, Meeting, check

MEETING = Meeting("m", "s", {"c1"})
FINE = [
    Call("create", "", 1, 200, 2, '"m"', "k"),
    Call("webhook", "m", 3, 204, 4, "", "c1"),
    Call("token", "m", 5, 200, 6),
    Call("end", "m", 7, 204, 8),
    Call("token", "m", 9, 409, 10),
]
LISTED = [{"m": {"c1"}}, {"m": {"c1"}}]
FAULT = Fault("kill", 20, 21)


def test_an_honest_history_passes():
    disturbed = [Call("token", "m", 25, 503, 26), Call("webhook", "m", 20.5, 0, 20.6, "", "c2")]
    assert check([*FINE, *disturbed], [FAULT], [MEETING], LISTED) == []


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (Call("token", "m", 20, 500, 21), "a 500"),
        (Call("token", "m", 40, 503, 41), "without a fault"),
        (Call("token", "m", 40, 0, 41), "without a fault"),
        (Call("token", "m", 40, 418, 41), "undocumented"),
        (Call("attendees", "m", 20, 404, 21), "is gone"),
        (Call("end", "m", 20, 204, 21), "ended 2 times"),
        (Call("token", "m", 20, 200, 21), "after the end"),
        (Call("create", "", 20, 200, 21, '"other"', "k"), "several meetings"),
        (Call("webhook", "m", 20, 204, 21, "", "c9"), "lost"),
    ],
)
def test_a_broken_promise_is_told(call, said):
    wrong = check([*FINE, call], [FAULT], [MEETING], LISTED)
    assert wrong
    assert all(said in line for line in wrong)


def test_what_one_node_lacks_or_invents_is_told():
    assert "lost" in check(FINE, [], [MEETING], [{"m": {"c1"}}, {"m": set()}])[0]
    assert "invented" in check(FINE, [], [MEETING], [{"m": {"c1"}}, {"m": {"c1", "c2"}}])[0]
