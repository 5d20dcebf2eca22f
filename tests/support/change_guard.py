"""Find what changes a meeting, a connection or an archive and leaves no change row for the log of events.

Listens to the statements of an engine. A transaction that writes one of these tables must insert a change row, unless
it writes only columns that no GET answers.
"""

import inspect
import re
from pathlib import Path

from sqlalchemy import event

WRITES = re.compile(
    r"\s*(?:WITH .*?\)\s*)?(INSERT INTO|UPDATE|DELETE FROM) (meeting|attendee_connection|archive)\b", re.DOTALL
)
CHANGE = re.compile(r'INSERT INTO "?change"?\b')
SET = re.compile(r"\bSET (.*?)(?: WHERE | FROM | RETURNING |$)", re.S)
UNSEEN = {
    "meeting": {"roster_on", "storage_target_id"},
    "attendee_connection": {"tenant", "meeting_created_on", "missed_on"},
    "archive": {"check_due_at", "begun_copies", "known_on"},
}
"""Columns that no GET answers."""
SERVICE = str(Path(__file__).parents[2] / "videoconf")
BETWEEN = (f"{SERVICE}/db/", "sqlalchemy", "contextlib", __file__)
"""Frames between who writes and the statement."""


def watch(engine, writers=SERVICE):
    """Begin to watch an engine; return what it finds: the statements of transactions without a change row.

    PostgreSQL alone says how many rows a statement changed before these are read, so SQLite is not watched: the tests
    run on both.
    """
    found, state = [], {}
    if engine.dialect.name != "postgresql":
        return found

    def execute(connection, cursor, statement, parameters, context, executemany):
        seen = state.setdefault(id(connection.connection.dbapi_connection), {"writes": [], "noted": False})
        seen["noted"] |= CHANGE.search(statement) is not None
        match = WRITES.match(statement)
        if match and cursor.rowcount and is_seen(match[1], match[2], statement) and is_by(writers):
            seen["writes"].append(statement)
            if "isolation_level" not in connection.get_execution_options():  # in autocommit, as the engine has it
                end(connection)

    def end(connection):
        seen = state.pop(id(connection.connection.dbapi_connection), None)
        if seen and seen["writes"] and not seen["noted"]:
            found.extend(seen["writes"])

    def undo(connection):
        if connection.invalidated:  # the database ended it, so what it wrote is undone
            state.clear()
            return
        state.pop(id(connection.connection.dbapi_connection), None)

    event.listen(engine, "after_cursor_execute", execute)
    event.listen(engine, "commit", end)
    event.listen(engine, "rollback", undo)
    return found


def is_by(writers):
    """Tell whether the code below a path writes: the service, and not a test that fills its database."""
    frame = inspect.currentframe()
    while frame is not None:
        file = frame.f_code.co_filename
        if not any(part in file for part in BETWEEN):
            return file.startswith(writers)
        frame = frame.f_back
    return False


def is_seen(verb, table, statement):
    """Tell whether a statement writes what a GET answers."""
    if table == "meeting" and verb != "UPDATE":
        return False  # a row that is not ready exists for no caller; what makes it ready is an update
    if table == "meeting" and "is_ready IS" in statement and "is_ready=" not in statement:
        return False  # of a meeting that is not ready
    if verb != "UPDATE":
        return True
    columns = {part.split("=")[0].strip().strip('"') for part in SET.search(statement)[1].split(", ") if "=" in part}
    return not columns <= UNSEEN[table]
