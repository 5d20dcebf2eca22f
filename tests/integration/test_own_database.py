"""A database that tests use one after another shows none of them what another did."""

import psycopg
import pytest

from tests.support.databases import REUSED_BYTES, Postgresql

OID = "SELECT oid FROM pg_database WHERE datname = current_database()"
"""A database that is dropped and made again has another one, and one that is renamed keeps it."""
FILL = (
    "INSERT INTO audit_entry (tenant, at, actor, action, target)"
    " SELECT '', now(), 'tester', 'PutStorageTarget', repeat('x', 90) FROM generate_series(1, {})"
)
CHANGES = {
    "a column": "ALTER TABLE meeting DROP COLUMN upload_target",
    "a type": "ALTER TABLE audit_entry ALTER COLUMN actor TYPE text",
    "a constraint": "ALTER TABLE meeting DROP CONSTRAINT uq_meeting_provider_account_session_id",
    "an index": "CREATE INDEX surplus ON meeting (end_time)",
    "a table": "CREATE TABLE surplus (id integer)",
    "the revision": "UPDATE videoconf_version SET version_num = '0001'",
    "statistics": f"{FILL.format(1)}; ANALYZE audit_entry",
    "a setting": "DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET work_mem = 64'; END $$",
    "a limit": "DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' CONNECTION LIMIT 1'; END $$",
    "size": FILL.format(REUSED_BYTES // 100),
}


@pytest.fixture
def databases(postgresql_server, postgresql_template):
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        made = Postgresql(postgresql_server, connection)
        yield made
        made.drop_all()


def test_filled_database_is_reused_empty_and_renamed(databases, postgresql_template):
    name = databases.take(postgresql_template)
    left_behind = psycopg.connect(databases.url(name))
    with psycopg.connect(databases.url(name)) as connection:
        oid = connection.execute(OID).fetchone()
        connection.execute(FILL.format(3))
    left_behind.execute("SELECT count(*) FROM audit_entry")  # its transaction is open
    databases.give_back(name)

    again = databases.take(postgresql_template)
    assert again != name
    with pytest.raises(psycopg.OperationalError):
        left_behind.execute("SELECT 1")
    with psycopg.connect(databases.url(again)) as connection:
        assert connection.execute(OID).fetchone() == oid
        assert connection.execute("SELECT count(*) FROM audit_entry").fetchone() == (0,)
        assert connection.execute(f"{FILL.format(1)} RETURNING id").fetchone() == (1,), "ids begin at 1 again"


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_database_is_not_reused(databases, postgresql_template, change):
    name = databases.take(postgresql_template)
    with psycopg.connect(databases.url(name)) as connection:
        oid = connection.execute(OID).fetchone()
        connection.execute(change)
    databases.give_back(name)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(databases.url(name))
    with psycopg.connect(databases.url(databases.take(postgresql_template))) as connection:
        assert connection.execute(OID).fetchone() != oid
