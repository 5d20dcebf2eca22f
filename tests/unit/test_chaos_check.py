"""The checker of ``make chaos`` catches each sort of broken promise; one that catches nothing proves nothing."""

from dataclasses import replace

import pytest

from bench.chaos.checker import GRACE_SECONDS, PROPER, check
from bench.chaos.history import BROKEN, GAVE_UP, Call, Fault, Kind
from bench.chaos.load import WEIGHTS

FAULT = Fault("kill", 100, 101)


def call(kind, began, status, subject="", *, tenant="acme", meeting="m", lasts=1.0, answer="", **seen):
    return Call(kind, tenant, meeting, began, subject, status, began + lasts, answer, seen)


def create(began, key, link, *, tenant="acme", status=200):
    return call(Kind.CREATE, began, status, key, tenant=tenant, meeting="", answer=link)


def read(began, ext_id="", end_time="", **more):
    return call(Kind.READ, began, 200, extId=ext_id, endTime=end_time, **more)


FINE = [
    create(1, "k", "m"),
    create(2, "k", "m"),
    create(2, "k", "n", tenant="globex"),
    call(Kind.REUSE, 3, 422, "k", meeting=""),
    call(Kind.JOINED, 3, 204, "c1"),
    call(Kind.JOINED, 4, 204, "c2"),
    call(Kind.ATTENDEES, 6, 200, c1="there", c2="there"),
    call(Kind.LEFT, 7, 204, "c1"),
    call(Kind.ATTENDEES, 9, 200, c1="left", c2="there"),
    call(Kind.EDIT, 10, 204, "one"),
    read(12, "one"),
    call(Kind.EDIT, 14, 204, "two"),
    read(16, "two"),
    call(Kind.ARCHIVE_START, 17, 201, answer="a1"),
    call(Kind.ARCHIVES, 19, 200, a1="started"),
    call(Kind.ARCHIVE_STOP, 20, 200, "a1"),
    call(Kind.ARCHIVE_READ, 22, 200, "a1", a1="stopped"),
    call(Kind.LIST, 24, 200, meeting="", m=""),
    call(Kind.FOREIGN, 25, 404, tenant="globex", meeting=""),
    call(Kind.TOKEN, 26, 200),
    call(Kind.END, 30, 204),
    read(32, "two", "12:00"),
    call(Kind.TOKEN, 33, 409),
    call(Kind.ARCHIVE_DELETE, 34, 200, "a1"),
    call(Kind.ARCHIVE_READ, 36, 404, "a1"),
    call(Kind.ARCHIVES, 37, 200),
]


def test_an_honest_history_passes():
    assert check(FINE, []) == []


@pytest.mark.parametrize(
    "more",
    [
        # What a fault excuses, and what it may have done.
        [call(Kind.TOKEN, 101 + GRACE_SECONDS - 0.5, 503)],
        [call(Kind.JOINED, 100.5, BROKEN, "c3"), call(Kind.ATTENDEES, 120, 200, c1="left", c2="left")],
        [call(Kind.JOINED, 100.5, 503, "c3"), call(Kind.ATTENDEES, 120, 200, c1="left", c2="left", c3="left")],
        [create(100.5, "x", "", status=504), create(103, "x", "new")],
        [create(200, "x", "", status=GAVE_UP), create(203, "x", "new")],
        # What overlaps may be seen in either order.
        [call(Kind.EDIT, 40, 204, "a", meeting="n", lasts=5), read(42, "", meeting="n", tenant="globex")],
        [call(Kind.EDIT, 40, 204, "a", meeting="n", lasts=5), read(42, "a", meeting="n", tenant="globex")],
        [call(Kind.END, 40, 204, meeting="n", lasts=5), call(Kind.TOKEN, 42, 200, meeting="n")],
        # What a caller wants to delete, and the provider does not yet.
        [
            call(Kind.ARCHIVE_START, 40, 201, meeting="n", answer="b"),
            call(Kind.ARCHIVE_DELETE, 42, 409, "b", meeting="n"),
            call(Kind.ARCHIVE_READ, 42, 200, "b", meeting="n", b="deleting"),
            call(Kind.ARCHIVE_DELETE, 42.5, 200, "b", meeting="n"),
            call(Kind.ARCHIVE_READ, 44, 200, "b", meeting="n", b="started"),
        ],
    ],
)
def test_permitted_history_passes(more):
    assert check([*FINE, *more], [FAULT]) == []


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (call(Kind.TOKEN, 100, 500), "a 500"),
        (call(Kind.READ, 100, 500), "a 500"),
        (call(Kind.TOKEN, 40, 503), "without a fault"),
        (call(Kind.TOKEN, 102 + GRACE_SECONDS, 503), "without a fault"),
        (call(Kind.JOINED, 40, BROKEN, "c9"), "without a fault"),
        (call(Kind.TOKEN, 40, GAVE_UP), "undocumented"),
        (call(Kind.TOKEN, 100, 418), "undocumented"),
        (call(Kind.EDIT, 40, 422, "x"), "undocumented"),
        (call(Kind.READ, 40, 404), "is gone"),
        # tenants
        (call(Kind.FOREIGN, 40, 200, tenant="globex", meeting=""), "undocumented"),
        (call(Kind.FOREIGN, 40, 403, tenant="globex", meeting=""), "undocumented"),
        (call(Kind.LIST, 40, 200, tenant="globex", meeting="", m="", n=""), "is shown m of acme"),
        # keys
        (create(40, "k", "other"), "one key, several meetings"),
        (create(40, "k2", "m"), "one meeting, several keys"),
        (call(Kind.REUSE, 40, 200, "k", meeting="", answer="m"), "undocumented"),
        # ends
        (call(Kind.END, 40, 204), "ended 2 times"),
        (call(Kind.TOKEN, 40, 200), "after the end"),
        (call(Kind.EDIT, 40, 204, "three"), "after the end"),
        (read(40, "two"), "acknowledged end is lost"),
        (read(40, "two", "13:00"), "several times"),
        (read(27, "two", "12:00"), "ended without a request"),
        # edits
        (read(40, "one", "12:00"), "a stale read"),
        (read(40, "", "12:00"), "an acknowledged edit is lost"),
        (read(40, "three", "12:00"), "no request wrote"),
        (read(8, "two"), "no request wrote"),
        # connections
        (call(Kind.ATTENDEES, 40, 200, c2="left"), "an acknowledged webhook is lost: ['c1']"),
        (call(Kind.ATTENDEES, 5.5, 200, c1="there"), "an acknowledged webhook is lost: ['c2']"),
        (call(Kind.ATTENDEES, 40, 200, c1="left", c2="left", c9="there"), "invented connections: ['c9']"),
        (call(Kind.ATTENDEES, 9, 200, c1="there", c2="there"), "an acknowledged leave is lost: ['c1']"),
        (call(Kind.ATTENDEES, 9, 200, c1="left", c2="left"), "left without a webhook: ['c2']"),
        (call(Kind.JOINED, 40, 204, "c3"), None),
        # archives
        (call(Kind.ARCHIVES, 23.2, 200), "an archive is lost: a1"),
        (call(Kind.ARCHIVE_READ, 23.5, 200, "a1", a1="started"), "went back: a1"),
        (call(Kind.ARCHIVE_READ, 35.5, 200, "a1", a1="stopped"), "a deleted archive is back: a1"),
        (call(Kind.ARCHIVE_READ, 39, 200, "a1", a1="available"), "is back: a1"),
        (call(Kind.ARCHIVES, 39, 200, a1="stopped"), "is back: a1"),
    ],
)
def test_broken_promise_is_reported(bad, said):
    wrong = check([*FINE, bad], [FAULT])
    if said is None:
        assert wrong == []
    else:
        assert wrong
        assert all(said in line for line in wrong), wrong


@pytest.mark.parametrize("position", range(len(FINE)))
def test_nothing_is_overlooked_in_the_answers(position):
    """Whatever a call is for: answered with a 500 it is a violation, and without a fault a 503 is."""
    for status, said in ((500, "a 500"), (503, "503 without a fault")):
        history = [*FINE]
        history[position] = replace(history[position], status=status)
        assert any(said in line for line in check(history, []))


def test_every_kind_of_call_is_made_and_has_its_answers():
    assert set(PROPER) == set(Kind)
    assert set(Kind) - set(WEIGHTS) == {Kind.REUSE}, "made by creates"
