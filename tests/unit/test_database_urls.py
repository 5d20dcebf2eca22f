"""A database's URL: whatever is accepted takes effect, whatever does not work is refused, and no secret is repeated."""

import pytest
from sqlalchemy import make_url

from videoconf.app import create_app
from videoconf.db.engine import engine_options
from videoconf.db.urls import DIRECT, FOREIGN, driver_url, shown, url_faults
from videoconf.errors import ConfigurationError
from videoconf.settings import Secret, Settings

DATABASES = {
    "postgresql://me:x@host/name": True,
    "postgres://host/name": True,
    "sqlite:///videoconf.db": True,
    "sqlite:///file:videoconf.db?uri=true": True,
    "foo": False,
    "": False,
    "mysql://host/name": False,
    "postgresql+psycopg2://host/name": False,
    "postgresql://host:port/name": False,
}


@pytest.mark.parametrize("url", DATABASES)
def test_unsupported_database_is_refused(url):
    told = url_faults(url)
    assert (not told) == DATABASES[url]
    assert all(fault.startswith("VIDEOCONF_DATABASE_URL must be") for fault in told)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite+pysqlite:///:memory:",
        "sqlite:///file::memory:?uri=true",
        "sqlite:///file:x?mode=memory&uri=true",
    ],
)
@pytest.mark.parametrize("serving", [True, False])
def test_a_database_in_memory_is_refused_with_the_remedy(url, serving):
    with pytest.raises(ConfigurationError, match="DATABASE_URL must name a file, like sqlite:///"):
        create_app(Settings(database_url=Secret(url)), serving=serving)


FROM_OTHER_STACKS = {
    "ssl=true": "sslmode=require",
    "schema=public": "search_path",
    "pgbouncer=true": "VIDEOCONF_DATABASE_POOLER=transaction",
    "connection_limit=5": "VIDEOCONF_DATABASE_POOL_SIZE",
    "statement_cache_size=0": "VIDEOCONF_DATABASE_POOLER=transaction",
    "currentSchema=x": "search_path",
    "charset=utf8": "Remove it",
    "sslmod=require": "Did you mean sslmode?",
    "SSLMODE=require": "Did you mean sslmode?",
    "nothing_known=1": "does not know",
}


@pytest.mark.parametrize("parameter", FROM_OTHER_STACKS)
def test_parameter_of_another_stack_names_its_remedy(parameter):
    [fault] = url_faults(f"postgresql://me:x@host/name?{parameter}")
    assert f"`{parameter.partition('=')[0]}`" in fault
    assert FROM_OTHER_STACKS[parameter] in fault


def test_each_foreign_parameter_is_unknown_to_libpq():
    assert [name for name in FOREIGN if not url_faults(f"postgresql://host/name?{name}=1")] == []


@pytest.mark.parametrize(
    "query",
    [
        "sslmode=strict",
        "sslmode=require&sslmode=disable",
        "sslrootcert=/nowhere/ca.pem",
        "client_encoding=latin1",
        "target_session_attrs=standby",
        "replication=database",
        "connect_timeout=soon",
        "connect_timeout=0",
        "options=-c%20statement_timeout%3D9s",
        "options=--lock-timeout%3D9s",
        "options=-cTimeZone%3DAsia/Tokyo",
    ],
)
def test_value_that_would_not_work_is_refused(query):
    [fault] = url_faults(f"postgresql://me:x@host/name?{query}")
    assert fault.startswith("VIDEOCONF_DATABASE_URL ")


def test_parameters_of_the_url_take_effect():
    url = "postgresql+psycopg://host/name?connect_timeout=7&keepalives_idle=60&options=-csearch_path%3Dx&host=a&host=b"
    assert url_faults(url) == []
    arguments = engine_options(url, 8)["connect_args"]
    assert not {"connect_timeout", "keepalives_idle", "options"} & arguments.keys()
    assert {"tcp_user_timeout", "client_encoding"} <= arguments.keys()
    assert engine_options("sqlite:///x?timeout=9", 8)["connect_args"] == {}


CANARY = "s3cr3t"
TORN = [
    f"postgresql://me:{CANARY}@{CANARY}@host/name",
    f"postgresql://me:{CANARY}@{CANARY}/{CANARY}@host/name",
    f"postgresql://me:x@{CANARY}?{CANARY}=1@host/name",
    f"postgresql://me:x@{CANARY}:{CANARY}@host/name",
    f"postgresql://me:x@{CANARY}#{CANARY}@host/name",
    f"postgresql+psycopg://me:x@{CANARY}@host/name",
    f"postgres://me/{CANARY}:{CANARY}@host/name",
    f"postgresql://host/name?user=me&password={CANARY}@{CANARY}",
]


@pytest.mark.parametrize("url", TORN)
def test_at_sign_that_is_not_encoded_gets_a_hint(url):
    [fault] = url_faults(url)
    assert "%40 for @" in fault
    assert CANARY not in fault


@pytest.mark.parametrize(
    "url",
    [
        *TORN,
        f"postgresql://me:{CANARY}@host/name?sslmode={CANARY}",
        f"postgresql://me:{CANARY}@host/name?ssl={CANARY}",
        f"postgresql+asyncpg://me:{CANARY}@host/name",
        f"postgresql://me:{CANARY}/name",
        f"postgresql://me:{CANARY}@a:1,b:2/name",
        f"jdbc:postgresql://host/name?password={CANARY}",
        CANARY,
        f"sqlite:///x?key={CANARY}",
    ],
)
@pytest.mark.parametrize("variable", ["database_url", "database_direct_url"])
def test_parts_of_a_secret_are_not_printed(url, variable):
    with pytest.raises(ConfigurationError) as raised:
        create_app(Settings(**{variable: Secret(url)}), serving=False)
    assert CANARY not in str(raised.value)
    assert f"VIDEOCONF_{variable.upper()} " in str(raised.value)


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        (f"postgresql://me:{CANARY}@host:5433/name?sslpassword={CANARY}", "postgresql://host:5433/name"),
        (f"postgresql:///name?host=/run/postgresql&password={CANARY}", "postgresql:///run/postgresql/name"),
        (f"postgresql://me:{CANARY}@/name?host=a:1&host=b:2", "postgresql://a:1,b:2/name"),
        ("sqlite:////srv/videoconf.db", "sqlite:////srv/videoconf.db"),
    ],
)
def test_url_is_shown_without_its_secrets(url, seen):
    assert url_faults(url) == []
    assert shown(make_url(driver_url(url))) == seen


@pytest.mark.parametrize("url", ["sqlite:///x.db", "mysql://host/name"])
def test_direct_url_leads_to_postgresql(url):
    [fault] = url_faults(url, DIRECT)
    assert fault.startswith("VIDEOCONF_DATABASE_DIRECT_URL must be a URL")


def test_start_up_options_are_refused_in_transaction_mode():
    url = "postgresql://host/name?options=-csearch_path%3Dx"
    assert url_faults(url, pooler="transaction")
    assert url_faults(url, DIRECT, pooler="transaction") == []


@pytest.mark.parametrize(
    "query", ["mode=ro", "immutable=1", "isolation_level=IMMEDIATE", "cache=shared", "timeout=soon"]
)
def test_parameter_of_sqlite_that_does_not_work_is_refused(query):
    [fault] = url_faults(f"sqlite:///file:x.db?uri=true&{query}")
    assert f"`{query.partition('=')[0]}`" in fault
