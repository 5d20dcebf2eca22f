import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from videoconf.errors import ProviderBusy, ProviderConflict, ProviderUnavailable
from videoconf.providers import ArchiveRequest, SessionRequest, provider_deadline
from videoconf_fake.control import FakeControl
from videoconf_fake.state import LOCK_WAIT_SECONDS, State

THREADS, ROUNDS = 8, 25


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "fake.db")


@pytest.fixture(params=["memory", "file"])
def any_path(request, path):
    return path if request.param == "file" else ""


def test_two_instances_on_one_file_see_one_vendor(make_provider, path, token_for):
    service, command = make_provider(state=path), make_provider(state=path)
    session = service.ensure_session(SessionRequest("m"))
    connection = FakeControl(command).join(token_for(service, session))
    assert [one.connection_id for one in service.list_connections(session).connections] == [connection]
    service.end_session(session, [])
    assert [event.body for event in FakeControl(command).list_events()] == [
        event.body for event in FakeControl(service).list_events()
    ]


def test_memory_is_of_one_instance(make_provider, token_for):
    one, other = make_provider(), make_provider()
    session = one.ensure_session(SessionRequest("m"))
    FakeControl(one).join(token_for(one, session))
    assert other.list_connections(session).connections == []


def test_threads_lose_and_double_nothing(make_provider, any_path, token_for):
    provider = make_provider(state=any_path)
    control = FakeControl(provider)
    session = provider.ensure_session(SessionRequest("m"))
    token = token_for(provider, session)
    together = threading.Barrier(THREADS)

    def come_and_go(_):
        together.wait(10)
        connections = []
        for _ in range(ROUNDS):
            connections.append(control.join(token))
            control.publish(connections[-1])
        for connection in connections:
            control.leave(connection)
        return connections

    with ThreadPoolExecutor(THREADS) as pool:
        connections = [one for some in pool.map(come_and_go, range(THREADS)) for one in some]
    assert len(set(connections)) == THREADS * ROUNDS
    events = control.list_events()
    assert len({event.event_id for event in events}) == len(events) == 3 * THREADS * ROUNDS
    assert provider.list_connections(session).connections == []


def test_one_of_many_concurrent_starts_wins(make_provider, any_path, token_for):
    provider = make_provider(state=any_path)
    session = provider.ensure_session(SessionRequest("m"))
    FakeControl(provider).join(token_for(provider, session))
    together = threading.Barrier(THREADS)

    def start(_):
        together.wait(10)
        try:
            return provider.start_archive(session, ArchiveRequest())
        except ProviderConflict:
            return None

    with ThreadPoolExecutor(THREADS) as pool:
        assert sum(archive is not None for archive in pool.map(start, range(THREADS))) == 1


JOINER = """
import sys
from datetime import UTC, datetime
from videoconf.providers import ProviderContext, Secret, SessionRequest
from videoconf_fake.control import FakeControl
from videoconf_fake.provider import FakeProvider
settings = FakeProvider.Settings(
    state=sys.argv[1], token_secret=Secret("t" * 32), webhook_secrets=(Secret("whsec_" + "AAAA" * 8),))
provider = FakeProvider(settings, ProviderContext(clock=lambda: datetime(2025, 3, 1, tzinfo=UTC), http=None))
print("ready", flush=True)
sys.stdin.readline()
session = provider.ensure_session(SessionRequest("m"))
for _ in range(25):
    print(FakeControl(provider).join_anonymously(session.session_id))
"""


def test_processes_opening_a_new_file_lose_and_double_nothing(make_provider, path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "error", "-c", JOINER, path]
    joiners = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(4)
    ]
    for joiner in joiners:
        assert joiner.stdout.readline() == "ready\n"
    for joiner in joiners:
        joiner.stdin.write("\n")
        joiner.stdin.flush()
    connections = [line for joiner in joiners for line in joiner.communicate(timeout=60)[0].split()]
    assert [joiner.returncode for joiner in joiners] == [0] * 4
    assert len(set(connections)) == len(connections) == 100
    provider = make_provider(state=path)
    session = provider.ensure_session(SessionRequest("m"))
    assert {one.connection_id for one in provider.list_connections(session).connections} == set(connections)
    assert len(FakeControl(provider).list_events()) == 100


def test_a_fork_opens_its_own_connection(path):
    state = State(path)
    with state.read() as before:
        pass
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def child():
        with state.write() as after:
            sender.send(after is not before)

    process = context.Process(target=child)
    process.start()
    process.join(20)
    assert receiver.poll(0)
    assert receiver.recv()
    state.close()


def test_a_failing_block_is_undone_whole(any_path):
    state = State(any_path)

    def fail_half_way():
        with state.write() as database:
            database.execute("INSERT INTO storage VALUES (1, 's3', '{}')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    with state.read() as database:
        assert database.execute("SELECT * FROM storage").fetchall() == []
    state.close()
    state.close()


def test_file_that_is_not_a_database_is_unavailable(make_provider, tmp_path):
    (tmp_path / "text").write_text("no database " * 1000)
    with pytest.raises(ProviderUnavailable):
        make_provider(state=str(tmp_path / "text")).check()
    with pytest.raises(ProviderUnavailable):
        make_provider(state=str(tmp_path)).check()


def test_locked_file_is_busy_at_the_deadline(make_provider, path):
    provider = make_provider(state=path)
    provider.check()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    with provider_deadline(0.05), pytest.raises(ProviderBusy):
        provider.ensure_session(SessionRequest("m"))
    assert time.monotonic() - started < LOCK_WAIT_SECONDS / 2
    other.close()
    assert FakeControl(provider).list_sessions() == []
    provider.ensure_session(SessionRequest("m"))


def test_held_thread_lock_is_busy_at_the_deadline(provider):
    started = time.monotonic()
    with provider.state.write(), provider_deadline(0.05), pytest.raises(ProviderBusy):
        provider.ensure_session(SessionRequest("m"))
    assert time.monotonic() - started < LOCK_WAIT_SECONDS / 2


def test_opening_waits_for_another_that_converts_the_file(make_provider, path, monkeypatch):
    """Here SQLite itself does not wait."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        other.rollback()

    monkeypatch.setattr("videoconf_fake.state.time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))
    make_provider(state=path).check()
    assert len(waits) == 1
    other.close()


def test_others_cannot_read_the_file(make_provider, path):
    make_provider(state=path).apply_storage("s3", {"secret_key": "k"})
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
