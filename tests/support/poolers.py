"""PgBouncer before the PostgreSQL of the tests, in the mode that a test asks for: Debian's package `pgbouncer`."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import URL, make_url

PGBOUNCER = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
NEEDS_PGBOUNCER = pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed (apt-get install pgbouncer)")
BOUNDED, UNBOUNDED = "pooled_bounded", "pooled_unbounded"
"""Roles that may do everything: one with the time limits that the service needs behind a pooler, one without."""
PASSWORDS = {
    "pooled_at": "s3cr3t@word",
    "pooled_slash": "s3c/r3t",
    "pooled_hash": "s3c#r3t",
    "pooled_query": "s3c?r3t&x=1",
}
"""Roles whose password has what a URL gives a meaning to."""
UNPRIVILEGED = 65534
CONFIGURATION = """
[databases]
* = {server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = {auth}
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = {size}
max_client_conn = 300
server_round_robin = 1
server_login_retry = 1
"""


@contextmanager
def pgbouncer(
    server: URL, mode: str, users: dict[str, str], auth: str = "trust", port: int | None = None, size: int = 4
) -> Iterator[int]:
    """Run PgBouncer before all databases of a server; give its port.

    :param users: passwords of the roles that may come in, by name.
    :param port: one that is free, when absent.
    :param size: connections to PostgreSQL, for each database and role.
    """
    host = server.query.get("host", server.host)
    assert isinstance(host, str)
    if port is None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="videoconf-pgbouncer-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PgBouncer does not run as root
        reached = f"host={host} port={server.port or 5432}"
        text = CONFIGURATION.format(server=reached, port=port, auth=auth, folder=folder, mode=mode, size=size)
        (folder / "pgbouncer.ini").write_text(text)
        (folder / "users").write_text("".join(f'"{user}" "{password}"\n' for user, password in users.items()))
        command = [str(PGBOUNCER), str(folder / "pgbouncer.ini")]
        if os.getuid() == 0:
            owner = os.stat(host).st_uid if host.startswith("/") else 0
            command += ["-u", pwd.getpwuid(owner or UNPRIVILEGED).pw_name]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 20
            while not _accepts(port):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, "PgBouncer does not listen"
                time.sleep(0.02)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def _accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def pooler_roles(postgresql_server: str) -> None:
    """Create the roles that come in through a pooler."""
    from videoconf.db.bounds import BOUNDS, TIME_ZONE
    from videoconf.db.pooler import as_statements

    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(1)")  # processes of one run share the server
        for role in (BOUNDED, UNBOUNDED, *PASSWORDS):
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone():
                connection.execute(f"CREATE ROLE {role} LOGIN SUPERUSER")
        connection.execute(as_statements(BOUNDED, {**BOUNDS, "TimeZone": TIME_ZONE}))


@pytest.fixture(scope="session")
def pooled(postgresql_server: str, pooler_roles: None) -> Iterator[Callable[..., str]]:
    """Give a function that returns the URL of a database behind PgBouncer, by that of the database and the mode.

    One PgBouncer serves all tests of a mode; its connections to a database go with the database.
    """
    server = make_url(postgresql_server)
    ports: dict[tuple[str, str], int] = {}
    with ExitStack() as stack:

        def url(database: str, mode: str, role: str = BOUNDED, password: str | None = None) -> str:
            auth = "trust" if password is None else "scram-sha-256"
            if (mode, auth) not in ports:
                users = {**PASSWORDS, BOUNDED: "", UNBOUNDED: ""}
                ports[mode, auth] = stack.enter_context(pgbouncer(server, mode, users, auth))
            credentials = role if password is None else f"{role}:{password}"
            return f"postgresql://{credentials}@127.0.0.1:{ports[mode, auth]}/{make_url(database).database}"

        yield url
