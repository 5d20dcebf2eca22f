"""Describe faults of the database, each in one sentence with its remedy, for commands and servers."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, Connection, Engine, exc, text

from videoconf.db.bounds import BOUNDS, TIME_ZONE, WRONG_TIME_ZONE
from videoconf.db.pooler import Mode, as_statements, find_mode, missing_bounds
from videoconf.db.types import db
from videoconf.db.urls import DIRECT, MAIN, shown


@dataclass(frozen=True)
class Fault:
    """What does not work, and what to do about it."""

    said: str
    remedy: str
    forbids: bool = False
    """Whether the service must not serve with it. The others pass, or an operator corrects them while it waits."""
    is_warning: bool = False
    """Whether the service works, without something that it should have."""

    def __str__(self) -> str:
        is_url = "://" in self.said.partition(" ")[0]
        begin = self.said[0] if is_url else self.said[0].upper()
        return f"{begin}{self.said[1:]}. {self.remedy}"


def explain(error: BaseException, engine: Engine | None = None) -> Fault | None:
    """Translate a failure of the database into an error; None if it is something else.

    No part of a secret is repeated: what the driver says is only read.

    :param engine: the one that failed; that of the application when absent.
    """
    engine = engine or db.engine
    driver = engine.dialect.loaded_dbapi.Error
    found: BaseException | None = error
    while found is not None and not isinstance(found, (exc.SQLAlchemyError, driver)):
        found = found.__cause__
    if found is None:
        return None
    original: Any = found.orig if isinstance(found, exc.DBAPIError) else found
    if isinstance(original, sqlite3.Error):
        return _of_sqlite(original, engine)
    if isinstance(original, driver):
        return _of_server(original, engine) if original.sqlstate else _of_connecting(str(original), engine)
    return Fault("no connection to the database became free in time", "Try again, or add nodes.")


def variable_of(engine: Engine) -> str:
    """Name the setting that an engine's URL comes from."""
    return MAIN if engine is db.engine else DIRECT


# What libpq, PostgreSQL and poolers say when a connection does not come about: they give no code for it.
_CONNECTING = [
    (r"translate host name|name or service not known|could not resolve", "the host name does not resolve", "{host}"),
    (r"certificate|does not support ssl|ssl is not enabled|ssl error|ssl connection|sslmode",
     "TLS does not come about", "{tls}"),
    (r"connection refused|is the server running|no such file or directory", "no server listens there", "{start}"),
    (r"timeout expired|timed out|no route to host|network is unreachable", "no server answers there", "{way}"),
    (r"unsupported startup parameter", "the pooler refuses a start-up parameter of the URL", "{parameter}"),
    (r"password authentication failed|no password supplied|authentication failed|no such user|wrong password"
     r"|role .* does not exist|sasl|not permitted to log in", "the server refuses the user or the password", "{user}"),
    (r"database .* does not exist|no such database", "the server does not have this database", "{database}"),
    (r"no pg_hba\.conf entry|pg_hba\.conf rejects", "the server accepts no such connection", "{hba}"),
    (r"permission denied for database|does not have connect privilege", "the role may not connect", "{connect}"),
    (r"starting up|shutting down|recovery|not yet accepting|not accepting|terminat", "it starts or stops",
     "Wait until it accepts connections."),
    (r"too many|connection slots|no more connections|connection limit", "the server accepts no more connections",
     "{many}"),
    (r"query_wait_timeout|server_login_retry|server login|cannot connect to server|server conn",
     "the pooler does not reach PostgreSQL", "Start PostgreSQL, or correct the pooler's settings."),
    (WRONG_TIME_ZONE, "the sessions that the pooler lends are not in UTC", "{bounds}"),
    (r"invalid .*value|invalid integer|invalid port|unrecognized|bad value", "a parameter of the URL has a wrong value",
     "{parameter}"),
    (r"invalid response|expected authentication|unexpected|protocol", "something other than PostgreSQL answers there",
     "{host}"),
]  # fmt: skip
_REMEDIES = {
    "host": "Correct the host and the port in {variable}.",
    "start": "Start it, or correct the host and the port in {variable}.",
    "way": "Open the way to it (firewall, network), or correct the host and the port in {variable}.",
    "user": "Correct them in {variable}; encode : / ? # % and @ in them, as %40 for @.",
    "database": "Create it (CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0), or correct the name in {variable}.",
    "hba": "Add the user and the database to its pg_hba.conf, or `sslmode=require` to {variable} if it wants TLS.",
    "tls": "Correct `sslmode` and `sslrootcert` in {variable}, or switch TLS on at the server.",
    "connect": "As the owner: GRANT CONNECT ON DATABASE … TO the role.",
    "many": "Lower VIDEOCONF_DATABASE_POOL_SIZE, or raise its bound on connections.",
    "parameter": "Remove it from {variable}, or correct it.",
    "bounds": "Run {statements} Then let the pooler open new connections (PgBouncer: RECONNECT).",
}


def _of_connecting(said: str, engine: Engine) -> Fault:
    known = ((meaning, remedy) for pattern, meaning, remedy in _CONNECTING if re.search(pattern, said, re.IGNORECASE))
    meaning, remedy = next(known, ("the connection does not come about", "{host}"))
    statements = as_statements(engine.url.username or "…", {**BOUNDS, "TimeZone": TIME_ZONE})
    given = {"variable": variable_of(engine), "statements": statements}
    words = f"{shown(engine.url)} cannot be used: {meaning}{_in_its_words(said, engine.url)}"
    return Fault(words, remedy.format(**_REMEDIES).format(**given))


def _in_its_words(said: str, url: URL) -> str:
    """Return the end of what the driver says, which names roles and databases, without what may be secret."""
    lines = [line for line in said.splitlines() if "failed: " in line] or said.splitlines()[:1]
    reason = " ".join(lines[-1].rpartition("failed: ")[2].split()) if lines else ""
    secrets = [url.password, *(value for name, value in url.query.items() if name not in ("host", "port"))]
    if not reason or reason == WRONG_TIME_ZONE or any(str(one) in reason for one in secrets if one):
        return ""
    return f" ({reason[:MOST_SHOWN]})"


MOST_SHOWN = 200


def _of_server(error: Any, engine: Engine) -> Fault:
    where, state = shown(engine.url), error.sqlstate or ""
    if state == "42501":
        return Fault(f"the database role lacks a privilege ({error.diag.message_primary})", _GRANT)
    if state == "3F000":
        return _NO_SCHEMA
    if state == "25006":
        return Fault(f"{where} takes no writes", f"Name the primary in {variable_of(engine)}, not a standby.")
    if state in ("42P01", "42703"):
        return Fault("the schema is older than this release", "Run: videoconf db upgrade")
    if state in ("42P07", "42701", "42710"):
        said = f"something that a migration would create is there already ({error.diag.message_primary})"
        return Fault(said, "Give videoconf a database or a schema of its own.")
    if state in ("26000", "42P05"):
        return _shared_sessions()
    if state in ("57014", "55P03", "40001", "40P01"):
        return Fault("the database took too long for a statement, or to free a lock", "Try again.")
    if state.startswith("53"):
        return Fault("the database has no room, or accepts no more connections", "Give it room; its log says more.")
    if state.startswith(("08", "57P")):
        return Fault(f"{where} ended the connection", "Try again when it accepts connections.")
    return Fault(f"the database reports {type(error).__name__} ({state})", "Its log says more.")


_GRANT = (
    "As the owner: GRANT USAGE ON SCHEMA … TO the role, and SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA …"
    " and USAGE ON ALL SEQUENCES IN SCHEMA … (on `audit_entry` SELECT and INSERT alone)."
)


def _of_sqlite(error: sqlite3.Error, engine: Engine) -> Fault:
    name, path = getattr(error, "sqlite_errorname", None) or "", shown(engine.url)
    if name.startswith("SQLITE_CANTOPEN"):
        return Fault(f"{path} cannot be opened", f"Create its folder, let this user write there, or correct {MAIN}.")
    if name.startswith(("SQLITE_READONLY", "SQLITE_PERM")):
        return Fault(f"{path} takes no writes", "Let this user write the file and its folder.")
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return Fault(f"{path} is not a database of SQLite, or is damaged", f"Restore a backup, or correct {MAIN}.")
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return Fault(f"{path} cannot be read or written: the disk is full or fails", "Give it room.")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Fault(f"another process holds {path}", "Try again, or stop the other process.")
    if re.match(r"no such (table|column)|table \w+ has no column", str(error)):
        return Fault("the schema is older than this release", "Run: videoconf db upgrade")
    if re.match(r"(table|index) \S+ already exists|duplicate column", str(error)):
        return Fault(f"{path} has tables of another program", "Give videoconf a file of its own.")
    return Fault(f"SQLite reports {name or type(error).__name__} for {path}", f"Correct {MAIN}.")


_NO_SCHEMA = Fault(
    "the search_path of the role names no schema that it may use",
    "As the owner: GRANT USAGE ON SCHEMA … TO the role, or ALTER ROLE … SET search_path = ….",
)
WITHOUT_DIRECT_URL = Fault(
    "VIDEOCONF_DATABASE_DIRECT_URL is not set, and a migration cannot go through a pooler in transaction mode",
    "Set it to the URL of PostgreSQL itself.",
)


def _shared_sessions(engine: Engine | None = None) -> Fault:
    if engine is not None and variable_of(engine) == DIRECT:
        said = f"{DIRECT} leads to a pooler in transaction mode, and a migration needs one connection"
        return Fault(said, "Name PostgreSQL itself, or a pooler in session mode.")
    return Fault(
        "a pooler in transaction mode stands before PostgreSQL, and the service is set up for one in session mode",
        "Set VIDEOCONF_DATABASE_POOLER=transaction, and VIDEOCONF_DATABASE_DIRECT_URL for `videoconf db`.",
        forbids=True,
    )


# --- looking at a database that answers ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """What a look at the database shows."""

    faults: tuple[Fault, ...]
    mode: Mode | None = None
    """What stands before PostgreSQL; None if it is not known."""


def look(engine: Engine, pooler: str = "session", *, to_migrate: bool = False) -> Found:
    """Connect, and look for what forbids to serve with the database, or to migrate it.

    :param pooler: the setting ``VIDEOCONF_DATABASE_POOLER``, or ``session`` for a connection past it.
    """
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
                return Found((), Mode.DIRECT)
            mode = find_mode(connection)
            rights = _rights_to_migrate(connection) if to_migrate else _rights_to_serve(connection)
            return Found((*_of_database(connection, pooler, mode), *rights), mode)
    except (exc.SQLAlchemyError, engine.dialect.loaded_dbapi.Error) as error:
        return Found((explain(error, engine) or Fault("the database cannot be used", "Its log says more."),))


_STATE = """
    SELECT current_setting('server_encoding') AS encoding, current_user AS role, current_schema() AS schema,
        pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean AS is_read_only
"""


def _of_database(connection: Connection, pooler: str, mode: Mode) -> Iterator[Fault]:
    state: Any = connection.execute(text(_STATE)).one()
    where = shown(connection.engine.url)
    if state.encoding != "UTF8":
        yield Fault(
            f"{where} has the encoding {state.encoding}, and names in other languages need UTF8",
            "Create it again (CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0), and restore a dump into it.",
            forbids=True,
        )
    if state.schema is None:
        yield _NO_SCHEMA
    if state.is_read_only:
        yield Fault(f"{where} takes no writes", f"Name the primary in {variable_of(connection.engine)}, not a standby.")
    if mode is Mode.TRANSACTION and pooler != "transaction":
        yield _shared_sessions(connection.engine)
    if pooler == "transaction" and (missing := missing_bounds(connection)):
        yield Fault(
            f"the sessions that the pooler lends lack {', '.join(missing)}",
            _REMEDIES["bounds"].format(statements=as_statements(state.role, missing)),
            is_warning=True,
        )


def _rights_to_migrate(connection: Connection) -> Iterator[Fault]:
    allowed = text("SELECT current_schema(), current_user, has_schema_privilege(current_schema(), 'CREATE')")
    schema, role, may_create = connection.execute(allowed).one()
    if schema is not None and not may_create:
        yield Fault(
            f'the role "{role}" may not create tables in the schema "{schema}"',
            f'As its owner: GRANT USAGE, CREATE ON SCHEMA "{schema}" TO "{role}";',
        )


def _rights_to_serve(connection: Connection) -> Iterator[Fault]:
    lacking = connection.execute(text(_LACKING), {"names": list(db.metadata.tables)}).scalars().all()
    if lacking:
        yield Fault(f"the database role may not use {', '.join(lacking)}", _GRANT)


_LACKING = """
    SELECT relname FROM pg_class
    WHERE pg_table_is_visible(oid) AND CASE relkind
        WHEN 'r' THEN relname = 'videoconf_version' AND NOT has_table_privilege(oid, 'SELECT')
            OR relname = ANY(:names) AND NOT (
            has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
            AND (relname = 'audit_entry' OR has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE')))
        WHEN 'S' THEN replace(relname, '_id_seq', '') = ANY(:names) AND NOT has_sequence_privilege(oid, 'USAGE')
        ELSE false END
    ORDER BY relname
"""
