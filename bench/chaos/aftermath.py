"""What is left in the database after all is quiet: nothing half done, nothing held, nothing leaked."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import psycopg

from bench.chaos.history import Call, Kind

SETTLE_SECONDS = 60.0
UNFINISHED = """
    SELECT (SELECT count(*) FROM meeting WHERE NOT is_ready)
        + (SELECT count(*) FROM job WHERE key IS NULL AND state = 'pending')
"""


_USED = "SELECT session_id FROM meeting WHERE session_id IS NOT NULL AND provider <> 'moody'"
ENDED = ("a job thread ended", "Exception in worker process", "Unhandled exception in main loop")
"""What a log says where something ended that no fault of a run ends."""


def complaints(logs: Iterable[Path]) -> list[str]:
    """Report workers and job threads that the code itself ended: a plugin that raises anything must end neither."""
    found = [line for log in logs for line in log.read_text(errors="replace").splitlines()]
    return [f"{said!r}: {line}" for said in ENDED for line in found if said in line]


def settle(url: str) -> None:
    """Let time pass for what waits: leases end, and what was cut off is old enough to be taken up. Then wait for it."""
    deadline = time.monotonic() + SETTLE_SECONDS
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE meeting SET created_on = created_on - interval '1 hour' WHERE NOT is_ready")
        connection.execute("UPDATE idempotency_key SET lease_until = lease_until - interval '1 hour'")
        while time.monotonic() < deadline:
            connection.execute(
                """UPDATE job SET due_at = now(), lease_owner = NULL, lease_until = NULL
                   WHERE state = 'pending' AND (lease_until IS NULL OR lease_until < now())
                   AND (key IS NULL OR key = 'complete_creations')"""
            )
            time.sleep(2)
            if connection.execute(UNFINISHED).fetchone() == (0,):
                return


def leaks(url: str, pooled: int, *, idle_seconds: float = 2.0) -> list[str]:
    """Return what is held or half done without an owner at work.

    :param pooled: how many connections the pools of all workers hold at most.
    :param idle_seconds: how long a transaction may wait for its next statement: jobs go on looking for work.
    """
    with psycopg.connect(url, autocommit=True) as connection:

        def number(question: str) -> int:
            row = connection.execute(question.encode()).fetchone()
            return int(row[0]) if row else 0

        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        found = {
            "database connections are open, more than the pools hold": max(
                0, number(f"SELECT count(*) {others}") - pooled
            ),
            "connections are idle in a transaction": number(
                f"SELECT count(*) {others} AND state LIKE 'idle in transaction%'"
                f" AND state_change <= now() - make_interval(secs => {idle_seconds})"
            ),
            "jobs are held without an owner": number(
                "SELECT count(*) FROM job WHERE lease_until < now() - interval '60 seconds'"
            ),
            "jobs are dead": number("SELECT count(*) FROM job WHERE state = 'dead'"),
            "jobs wait that should be done": number("SELECT count(*) FROM job WHERE key IS NULL AND state = 'pending'"),
            "creations were neither completed nor taken back": number(
                "SELECT count(*) FROM meeting WHERE NOT is_ready"
            ),
            "meetings end before they start": number("SELECT count(*) FROM meeting WHERE end_time < start_time"),
            "sessions belong to several meetings": number(
                "SELECT count(*) - count(DISTINCT session_id) FROM meeting WHERE session_id IS NOT NULL"
            ),
        }
    return [f"{count} {what}" for what, count in found.items() if count]


def surplus_sessions(url: str, sessions: set[str], history: list[Call]) -> list[str]:
    """Report sessions at the vendor beyond those of meetings and of attempts with an unknown outcome."""
    with psycopg.connect(url, autocommit=True) as connection:
        used = {row[0] for row in connection.execute(_USED)}
    wrong = [f"{len(used - sessions)} meetings have sessions that the vendor never made"] if used - sessions else []
    unknown = sum(call.kind is Kind.CREATE and not (call.done or call.refused) for call in history)
    if len(sessions - used) > unknown:
        wrong.append(f"{len(sessions - used)} sessions belong to no meeting; only {unknown} creates ended unknown")
    return wrong
