"""Record what changed, in the transaction of the change: the one way from the domain to the log of events.

A change row says which part of which meeting changed, and not how. The projector computes what GET answers for this
part, compares that with what it reported last, and writes the events. So a row too many costs a comparison, and a row
too few loses an event: code that changes a meeting, a connection or an archive calls :func:`note_change`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import BigInteger, String, bindparam, insert

from videoconf.db.transactions import Transaction, dialect_of
from videoconf.events.models import Change
from videoconf.events.types import FACTS, EventType

MEETING = "meeting"
"""The part that is the meeting itself, as ``GET /session/{id}`` answers it."""
EVERYTHING = "all"
"""The meeting, all its attendees and all its archives."""


def of_connection(connection_id: str) -> str:
    """Name the part that is the attendee of a connection."""
    return f"connection:{connection_id}"


def of_erased(connection_id: str) -> str:
    """Name the same part where the person was erased: events that named the person lose the name too."""
    return f"erased:{connection_id}"


def of_archive(archive_id: str) -> str:
    """Name the part that is an archive, by the provider's id."""
    return f"archive:{archive_id}"


_CHANGES: Any = Change.__table__
_INSERT = insert(_CHANGES)


def note_change(transaction: Transaction, meeting_id: int, *parts: str) -> None:
    """Record that parts of a meeting changed. Several rows of one part become one projection.

    :param parts: :data:`MEETING`, :data:`EVERYTHING`, or the result of :func:`of_connection`, :func:`of_archive` or
        :func:`of_erased`.
    """
    if parts:
        transaction.execute(_INSERT, [{"meeting_id": meeting_id, "part": part} for part in parts])


def announce(transaction: Transaction, meeting_id: int, type: EventType, data: Mapping[str, Any]) -> None:
    """Record a fact that no GET answers, such as a guest who waits in the lobby: it becomes an event as it stands.

    The event gets its position when the projector reads the row, soon after the commit, so position order stays commit
    order and the caller's transaction holds no lock of the log.

    :param data: JSON values. A person is named by its members ``attendee`` and ``name`` and nowhere else, so that an
        erasure finds them.
    :raises ValueError: the type is derived from what GET answers, so that :func:`note_change` leads to it.
    """
    if type not in FACTS:
        raise ValueError(f"{type} is derived from changes and is not announced")
    json.dumps(data)  # raises TypeError here, where the mistake is, and not in the projector
    transaction.execute(_INSERT, [{"meeting_id": meeting_id, "part": type.value, "data": dict(data)}])


# --- on the hot paths -------------------------------------------------------------------------------------------------

_NOTED = insert(_CHANGES).values(
    meeting_id=bindparam("change_meeting", type_=BigInteger()), part=bindparam("change_part", type_=String())
)


def noting(statement: Any, dialect: str) -> Any:
    """Make a statement also insert a change row, where the database can do that in one round trip.

    Built once; each run takes the parameters ``change_meeting`` and ``change_part``, and is made by
    :func:`execute_noting`.
    """
    if dialect != "postgresql":
        return statement
    return statement.add_cte(_NOTED.returning(_CHANGES.c.id).cte("noted_change"))


def execute_noting(
    transaction: Transaction, statement: Any, values: Mapping[str, Any], meeting_id: int, part: str
) -> Any:
    """Run a statement of :func:`noting` and record the change with it; return the statement's result."""
    if dialect_of(transaction) == "postgresql":
        return transaction.execute(statement, {**values, "change_meeting": meeting_id, "change_part": part})
    note_change(transaction, meeting_id, part)  # first: the result must be read before the next statement
    return transaction.execute(statement, values)
