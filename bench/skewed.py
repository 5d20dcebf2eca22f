"""Tables at full length with skewed columns: nearly all rows have one tenant, attendee, session, meeting and status.

Of each hundred rows, one differs from the rest in every column that a list is filtered by; of each thousand, one has
another tenant. The rows come by COPY, without the indexes, which are made afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import psycopg

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
CROWD = 200
"""Attendees of the meeting :data:`CROWDED`, beyond the one that each meeting has."""
BUSY, CROWDED = "m1", "m2"
"""Links: of the meeting that nearly all webhooks, bans, invitations and events are about, and of one with attendees."""

Row = tuple[Any, ...]


class Seed(NamedTuple):
    """What the row of a number is made of."""

    number: int
    rare: bool
    """Differs from most: one of a hundred."""
    tenant: str
    at: datetime


def seed(number: int) -> Seed:
    """Return what the row of a number is made of."""
    tenant = "small" if number % 1000 == 0 else "default"
    return Seed(number, number % 100 == 0, tenant, BEGIN + timedelta(seconds=number))


def _meeting(n: int, rare: bool, tenant: str, at: datetime) -> Row:
    return (
        n, f"m{n}", tenant, True, "other" if rare else "fake", "fake", f"s{n}", True, at, False, False, "{}",
        f"order-{n}" if rare else "same", at, None if rare else at, at, "x", at, "x", n % 1000 == 500,
    )  # fmt: skip


def _connection(n: int, rare: bool, tenant: str, at: datetime) -> Row:
    return n, "c", tenant, at, f"u{n}" if rare else "guest", at, at, at, at, at


def _archive(n: int, rare: bool, tenant: str, at: datetime) -> Row:
    status = "failed" if rare else "available"
    return tenant, n, "fake", "fake", f"a{n}", status, status, False, "{}", at, at


def _entry(n: int, rare: bool, tenant: str, at: datetime) -> Row:
    return tenant, at, f"u{n}" if rare else "backend", "meeting.ended" if rare else "meeting.created", f"m{n}"


def _webhook(n: int, rare: bool, tenant: str, at: datetime) -> Row:
    session, status = f"s{n}" if rare else "s1", ("quarantined", "ignored")[n // 100 % 2] if rare else "applied"
    if tenant == "small":
        status = ("applied", "quarantined", "ignored")[n // 1000 % 3]
    if n % 1000 in (250, 750):
        session, tenant, status = f"x{n}", "", "orphan" if n % 1000 == 250 else "ignored"
    return "other" if rare else "fake", "fake", "session", f"k{n}", "joined", status, session, tenant, at


def _job(n: int, rare: bool, tenant: str, at: datetime) -> Row:
    state = "dead" if rare else "pending" if n % 1000 == 50 else "done"
    return "end_session", "{}", state, 1, at, at


def _busy(n: int, rare: bool) -> int:
    return n if rare else 1


def _ban(n: int, rare: bool, tenant: str, at: datetime) -> Row:
    return f"b{n}", n // 500 + 1, f"u{n}", f"u{n}", at, "x"  # a meeting has few bans


def _invitation(n: int, rare: bool, tenant: str, at: datetime) -> Row:
    return n, f"i{n}", _busy(n, rare), "publisher", "ask", 0, at, "x"


def _waits(n: int, rare: bool, tenant: str, at: datetime) -> Row:
    meeting, state = (n, "waiting") if rare else (1, "waiting" if n % 1000 == 50 else "admitted")
    return f"l{n}", meeting, _busy(n, rare), f"t{n}".encode(), f"u{n}", state, at, datetime(2100, 1, 1, tzinfo=UTC)


def _subscription(n: int, rare: bool, tenant: str, at: datetime) -> Row:
    owner = "default" if n <= 20 else "small" if tenant == "small" else f"t{n // 20}"  # at most 20 for each
    return n, f"e{n}", owner, "https://example.com/", True, b"x", 0, 0, 0, at, "x", at, "x"


def _delivery(n: int, rare: bool, tenant: str, at: datetime) -> Row:
    status = "failed" if rare else "pending" if n % 1000 == 50 else "succeeded"
    return 2 if n % 1000 == 500 else 1, f"v{n}", "meeting.created", n, status, 1, "[]", at


def _event(n: int, rare: bool, tenant: str, at: datetime) -> Row:
    kind, link = ("meeting.ended", f"m{n}") if rare else ("meeting.created", BUSY)
    return n, f"v{n}", kind, at, tenant, link, n, "{}"


class Table(NamedTuple):
    """How a table is filled."""

    columns: str
    row: Callable[[int, bool, str, datetime], Row]
    bytes: int
    """A row's size with its indexes, measured on a million."""
    share: float = 1.0
    """Rows beside those of other tables."""


TABLES = {
    "meeting": Table(
        "id, meeting_link, tenant, is_ready, provider, account, session_id, is_scheduled, schedule_time, is_archived,"
        " end_to_end_encryption, provider_options, ext_id, start_time, end_time, created_on, created_by, modified_on,"
        " modified_by, deleted",
        _meeting,
        1_900,
    ),
    "attendee_connection": Table(
        "meeting_id, connection_id, tenant, meeting_created_on, attendee, attendee_at, first_join, last_join,"
        " last_leave, last_evidence",
        _connection,
        700,
    ),
    "archive": Table(
        "tenant, meeting_id, provider, account, archive_id, status, provider_status, legal_hold, meta_data, created_on,"
        " modified_on",
        _archive,
        1_000,
    ),
    "audit_entry": Table("tenant, at, actor, action, meeting_link", _entry, 900),
    "webhook_event": Table(
        "provider, account, channel, dedupe_key, kind, status, session_id, tenant, received_at", _webhook, 500
    ),
    "job": Table("kind, payload, state, attempts, due_at, created_on", _job, 300),
    # A tenth: beside these, a tenant with ten million meetings has few.
    "invitation": Table(
        "id, public_id, meeting_id, role, admission, uses, created_on, created_by", _invitation, 300, 0.1
    ),
    "ban": Table("public_id, meeting_id, attendee, attendee_key, created_on, created_by", _ban, 400, 0.1),
    "lobby_entry": Table(
        "public_id, meeting_id, invitation_id, ticket_digest, attendee, state, waiting_since, polled_on",
        _waits,
        500,
        0.1,
    ),
    "event": Table("position, id, type, at, tenant, meeting_link, sequence, data", _event, 600, 0.1),
    "event_subscription": Table(
        "id, public_id, tenant, url, is_enabled, secret, position, newest, failures, created_on, created_by,"
        " modified_on, modified_by",
        _subscription,
        300,
        0.1,
    ),
    "event_delivery": Table(
        "subscription_id, event_id, type, position, status, attempt_count, attempts, created_on", _delivery, 500, 0.1
    ),
}
"""In an order in which each table's rows find those that they refer to."""


def rows_of(table: str, count: int) -> Iterator[Row]:
    """Give the rows of a table."""
    make = TABLES[table].row
    for number in range(1, count + 1):
        yield make(*seed(number))
    if table == "attendee_connection":
        _, _, tenant, at = seed(int(CROWDED[1:]))
        for number in range(CROWD):
            yield int(CROWDED[1:]), f"d{number}", tenant, at, f"p{number}", at, at, at, at, at


def fill(connection: psycopg.Connection[Any], count: int, tables: Collection[str] = tuple(TABLES)) -> None:
    """Fill tables with so many rows each, or their share, and make their indexes afterwards."""
    statement = """
        SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
        LEFT JOIN pg_constraint ON conindid = indexrelid WHERE indrelid = %s::regclass AND conindid IS NULL
    """
    for table, filled in TABLES.items():
        if table not in tables:
            continue
        indexes = connection.execute(statement, (table,)).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}".encode())
        rows = max(20_000, int(count * filled.share))
        with connection.cursor().copy(f"COPY {table} ({filled.columns}) FROM STDIN".encode()) as copy:
            for row in rows_of(table, min(rows, count)):
                copy.write_row(row)
        for _, definition in indexes:
            connection.execute(definition.encode())
        if table in ("meeting", "invitation", "event_subscription"):
            connection.execute(f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))".encode())
    if "event" in tables:
        connection.execute(
            "INSERT INTO event_log (id, position, pruned) SELECT 1, max(position), 0 FROM event ON CONFLICT (id) DO"
            " UPDATE SET position = excluded.position"
        )
    connection.execute("ANALYZE")
