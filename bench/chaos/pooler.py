"""PgBouncer in transaction mode between the nodes and PostgreSQL, as docs/how-to/poolers.md describes it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import psycopg
from sqlalchemy import make_url

from bench.chaos.nodes import Database
from tests.support.poolers import pgbouncer
from videoconf.db.bounds import BOUNDS, TIME_ZONE
from videoconf.db.pooler import as_statements

ROLE = "chaos"


class Pooler:
    """One PgBouncer, which comes back on the port that it had."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stack = ExitStack()
        self.settings: dict[str, str] = {}
        """What the nodes are set up with."""

    def __enter__(self) -> Pooler:
        with psycopg.connect(self._database.url, autocommit=True) as owner:
            owner.execute(f"CREATE ROLE {ROLE} LOGIN SUPERUSER")
            owner.execute(as_statements(ROLE, {**BOUNDS, "TimeZone": TIME_ZONE}).encode())
        self._port = self._start()
        self.settings = {
            "VIDEOCONF_DATABASE_POOLER": "transaction",
            "VIDEOCONF_DATABASE_URL": f"postgresql://{ROLE}@127.0.0.1:{self._port}/chaos",
        }
        return self

    def _start(self, port: int | None = None) -> int:
        return self._stack.enter_context(pgbouncer(make_url(self._database.url), "transaction", {ROLE: ""}, port=port))

    def restart(self) -> None:
        """End it, with each connection of both sides, and start it again."""
        self._stack.close()
        self._start(self._port)

    def __exit__(self, *raised: Any) -> None:
        self._stack.close()
