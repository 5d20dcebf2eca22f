"""Histories of a meeting: what happens, and how it comes to be known: late, twice, reordered, or never."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from hypothesis import strategies as st

from tests.integration.attendance.model import Event

# Two tabs of ann's, one of bob's, two anonymous people, and ann again from elsewhere.
OWNERS = {"c1": "ann", "c2": "ann", "c3": "bob", "c4": None, "c5": None, "c6": "ann"}
KINDS = ("joined", "joined", "left", "left", "activity", "session_closed")
MINUTES = (*range(0, 120, 10), *range(0, 120, 10), 600, -20 * 60, 30 * 60, -30 * 60, -80 * 60, 80 * 60)
"""Ten minutes apart, so that times are often equal; then the future and the past, believable and not."""
RECEIVED_HOURS = (0, 0, 0, 1, 20, 60)
ASKED_HOURS = (3, 3, 25, 31, 100)

_told = st.tuples(
    st.sampled_from(KINDS),
    st.sampled_from(sorted(OWNERS)),
    st.sampled_from(MINUTES),
    st.sampled_from(("", "", "owner", "owner", "owner", "owner", "other")),
    st.sampled_from((None, None, 0, 0, 5, 20, 27 * 60, -3, -30)),
    st.sampled_from((None, "left", "network")),
    st.sampled_from((None, "Ann", "Bob", "Änn 👩")),
)


@dataclass(frozen=True)
class History:
    """What happened, in minutes since the meeting was made, and what was received of it, and when."""

    told: list[tuple]
    deliveries: list[tuple[int, list[int]]]
    """Hours after which a webhook came, and the numbers of its events."""
    before_create: int
    """Of so many deliveries the session was not known yet."""
    ended: bool
    asked_hours: int

    def events(self, begin: datetime) -> list[Event]:
        return [_event(told, begin) for told in self.told]


def _event(told, begin):
    kind, connection, minute, whose, before, reason, name = told
    at = begin + timedelta(minutes=minute)
    if kind == "session_closed":
        return Event(kind, at)
    attendee = {"owner": OWNERS[connection], "other": "bob"}.get(whose)
    return Event(
        kind,
        at,
        connection,
        attendee,
        name,
        None if before is None else at - timedelta(minutes=before),
        reason if kind == "left" else None,
    )


@st.composite
def histories(draw):
    told = draw(st.lists(_told, min_size=1, max_size=12))
    numbers = st.lists(st.integers(0, len(told) - 1), min_size=1, max_size=6)
    deliveries = draw(st.lists(st.tuples(st.sampled_from(RECEIVED_HOURS), numbers), min_size=1, max_size=4))
    return History(
        told,
        deliveries,
        before_create=draw(st.integers(0, len(deliveries))) if draw(st.booleans()) else 0,
        ended=draw(st.integers(0, 3)) == 0,
        asked_hours=draw(st.sampled_from(ASKED_HOURS)),
    )
