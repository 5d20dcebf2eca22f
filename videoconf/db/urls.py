"""The database's URL: what it may hold, what is wrong with it, and how it is shown without a secret.

Whatever is accepted takes effect, and no part of a URL is repeated that may belong to a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator

from sqlalchemy import URL, exc, make_url

from videoconf.spelling import proposal

MAIN = "VIDEOCONF_DATABASE_URL"
DIRECT = "VIDEOCONF_DATABASE_DIRECT_URL"

_TLS = "Write `sslmode=require`."
_SEARCH_PATH = "Write `options=-csearch_path%3DNAME`, or set the role's search_path: ALTER ROLE … SET search_path."
_POOLER = "Set VIDEOCONF_DATABASE_POOLER=transaction instead, if the pooler is in transaction mode."
_POOL_SIZE = "Set VIDEOCONF_DATABASE_POOL_SIZE instead."
_NEEDLESS = "Remove it: the service sets it itself."
FOREIGN = {
    "ssl": _TLS,
    "sslaccept": _TLS,
    "tls": _TLS,
    "usessl": _TLS,
    "schema": _SEARCH_PATH,
    "currentschema": _SEARCH_PATH,
    "search_path": _SEARCH_PATH,
    "pgbouncer": _POOLER,
    "statement_cache_size": _POOLER,
    "prepared_statement_cache_size": _POOLER,
    "prepared_statements": _POOLER,
    "preparethreshold": _POOLER,
    "prepare_threshold": _POOLER,
    "default_query_exec_mode": _POOLER,
    "pool_mode": _POOLER,
    "connection_limit": _POOL_SIZE,
    "pool_size": _POOL_SIZE,
    "pool": _POOL_SIZE,
    "max_overflow": _POOL_SIZE,
    "pool_max_conns": _POOL_SIZE,
    "maxpoolsize": _POOL_SIZE,
    "pool_timeout": _NEEDLESS,
    "socket_timeout": _NEEDLESS,
    "statement_timeout": _NEEDLESS,
    "lock_timeout": _NEEDLESS,
    "idle_in_transaction_session_timeout": _NEEDLESS,
    "timezone": _NEEDLESS,
    "charset": _NEEDLESS,
    "encoding": _NEEDLESS,
    "characterencoding": _NEEDLESS,
}
"""Parameters that other programs read from such a URL, in small letters, each with what to write here."""

_CHOICES = {
    "sslmode": {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"},
    "gssencmode": {"disable", "prefer", "require"},
    "channel_binding": {"disable", "prefer", "require"},
    "load_balance_hosts": {"disable", "random"},
    "target_session_attrs": {"any", "read-write", "primary"},  # on others nothing can be written
    "client_encoding": {"utf8", "utf-8"},
}
_NUMBERS = frozenset(
    {"connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"}
)
_FILES = frozenset({"sslrootcert", "sslcert", "sslkey", "sslcrl"})
_REFUSED = {"replication": "The service sends ordinary statements only."}
_REPEATED = frozenset({"host", "port"})
"""Several servers, of which the first that answers serves."""
BOUNDED = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "timezone")
"""What the service sets in each session: the URL's ``options`` cannot, as it would have no effect."""

_OF_SQLITE = {"timeout": None, "uri": None, "mode": {"rw", "rwc"}, "vfs": None, "nolock": None, "psow": None}
"""What may be in the URL of a SQLite file, with the values where not each one works."""


def driver_url(url: str) -> str:
    """Name psycopg 3 as the driver: what a bare ``postgresql://`` means depends on SQLAlchemy's version."""
    for scheme in ("postgresql://", "postgres://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    return url


def shown(url: URL) -> str:
    """Return where a URL leads, to be printed: without user, password and parameters."""
    if url.get_backend_name() == "sqlite":
        return f"sqlite:///{(url.database or '').partition('?')[0]}"
    hosts = url.query.get("host", ())
    asked = ",".join([hosts] if isinstance(hosts, str) else hosts)
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{url.host or asked}{port}/{url.database or ''}"


def url_faults(url: str, variable: str = MAIN, pooler: str = "session") -> list[str]:
    """Return what prevents opening the database of this URL, with the remedy and without the URL itself.

    :param variable: the setting that holds it.
    :param pooler: the setting ``VIDEOCONF_DATABASE_POOLER``.
    """
    if _is_torn(url):
        return [
            f"{variable} must be a URL whose user name and password are encoded: it has an `@` too many. Write %40 for"
            " @, and encode : / ? # % too, as urllib.parse.quote(password, safe='') does."
        ]
    try:
        parsed = make_url(driver_url(url))
    except (exc.ArgumentError, ValueError):
        parsed = None
    if parsed is not None and parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        return list(_sqlite_faults(parsed, variable))
    if parsed is not None and parsed.drivername == "postgresql+psycopg":
        return list(_postgresql_faults(parsed, variable, pooler))
    if url.startswith(("postgresql+", "postgres+")):
        return [f"{variable} must be a URL that begins with postgresql://, without the name of a driver."]
    several = "," in url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    hint = " Name several servers as parameters: postgresql://user:password@/name?host=a:5432&host=b:5432."
    return [
        f"{variable} must be a URL like postgresql://user:password@host/name, or sqlite:////absolute/path"
        f" for a single node.{hint if several else ''}"
    ]


_USER = re.compile(r"[^:/]*(?::[^@]*)?@")


def _is_torn(url: str) -> bool:
    """Return whether an ``@`` is left behind the user and password: the rest of a password that is not encoded."""
    scheme, _, rest = url.partition("://")
    if not scheme.startswith(("postgresql", "postgres")):
        return False
    user = _USER.match(rest)
    return "@" in (rest[user.end() :] if user else rest)


def _postgresql_faults(url: URL, variable: str, pooler: str) -> Iterator[str]:
    from psycopg.pq import Conninfo  # with the driver, which SQLite does without

    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    for name, value in url.query.items():
        if name not in known:
            yield _unknown(name, variable, known)
        elif not isinstance(value, str):
            if name not in _REPEATED:
                yield f"{variable} has the parameter `{name}` twice."
        elif name in _REFUSED:
            yield f"{variable} has the parameter `{name}`, which does not work here. {_REFUSED[name]}"
        elif name in _CHOICES and value.lower() not in _CHOICES[name]:
            yield _not_a_choice(name, variable, _CHOICES[name])
        elif name in _NUMBERS and not re.fullmatch(r"[0-9]{1,9}", value):
            yield f"{variable} has a `{name}` that is not a whole number."
        elif name == "connect_timeout" and not int(value):
            yield f"{variable} has a `connect_timeout` of 0, which waits for ever. Write a number of seconds."
        elif name in _FILES and value != "system" and not os.access(value, os.R_OK):
            yield f"{variable} names a file in `{name}` that cannot be read."
        elif name == "options":
            yield from _option_faults(value, variable, pooler)


def _option_faults(options: str, variable: str, pooler: str) -> Iterator[str]:
    if pooler == "transaction" and variable == MAIN:
        yield (
            f"{variable} has the parameter `options`, which poolers in transaction mode refuse. Remove it, and set what"
            " it says for the role: ALTER ROLE … SET …"
        )
    for name in BOUNDED:
        if re.search(rf"(-c\s*|--){name.replace('_', '[_-]')}\s*=", options, re.IGNORECASE):
            yield f"{variable} sets {name} in `options`, where it has no effect. {_NEEDLESS}"


def _not_a_choice(name: str, variable: str, choices: Collection[str]) -> str:
    return f"{variable} has a `{name}` that does not work here. It is one of: {', '.join(sorted(choices))}."


def _unknown(name: str, variable: str, known: Collection[str]) -> str:
    if (remedy := FOREIGN.get(name.lower())) is not None and name not in known:
        return f"{variable} has the parameter `{name}`, which only other programs read. {remedy}"
    return (
        f"{variable} has the parameter `{name}`, which PostgreSQL's client library does not know."
        f"{proposal(name, known)} Correct its spelling, or remove it."
    )


def _sqlite_faults(url: URL, variable: str) -> Iterator[str]:
    path = url.database or ":memory:"
    if path.removeprefix("file:") == ":memory:" or url.query.get("mode") == "memory":
        yield (
            f"{variable} must name a file, like sqlite:////absolute/path: in memory, each connection has a"
            " database of its own."
        )
        return
    if variable == DIRECT:
        yield f"{variable} must be a URL like postgresql://user:password@host/name: SQLite has no pooler."
    if url.host or url.username:
        yield f"{variable} must have three slashes before a relative path and four before an absolute one."
    for name, value in url.query.items():
        if name not in _OF_SQLITE:
            yield f"{variable} has the parameter `{name}`, which does not work for SQLite here. Remove it."
        elif (choices := _OF_SQLITE[name]) is not None and value not in choices:
            yield _not_a_choice(name, variable, choices)
        elif name == "timeout" and not re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", str(value)):
            yield f"{variable} has a `timeout` that is not a number of seconds."
