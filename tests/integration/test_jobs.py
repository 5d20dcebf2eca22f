"""Jobs: an end that the provider did not take at once is neither lost nor slow, and no job runs twice at a time."""

import signal
import threading
import time
from contextlib import contextmanager

import pytest
from sqlalchemy import insert, select, update

from tests.support.service import ON_SQLITE, at_once, plugins_with
from videoconf.api.services import services
from videoconf.cli.main import commands
from videoconf.db import batches
from videoconf.db.functions import utc_in
from videoconf.db.transactions import read, write
from videoconf.errors import ProviderAuthFailed, ProviderRejected, ProviderTimeout, ProviderUnavailable
from videoconf.jobs import queue
from videoconf.jobs import worker as jobs_module
from videoconf.jobs.models import Job, JobState
from videoconf.jobs.queue import DONE_KEPT_SECONDS, MAX_ATTEMPTS, enqueue, prune_jobs
from videoconf.jobs.work import GIVE_UP_SECONDS, Lane, Work
from videoconf.jobs.worker import Worker
from videoconf.testing.faulty_server import FaultyServer, hang
from videoconf_fake.provider import FakeProvider


class Ending(FakeProvider):
    """Ends sessions as the test says: ``behaviour`` runs before the real end."""

    def behaviour(self):
        pass

    def end_session(self, session, connections):
        self.behaviour()
        super().end_session(session, connections)


@pytest.fixture
def app_options():
    return {"plugins": plugins_with(Ending)}


def failing(error):
    def behaviour():
        raise error

    return behaviour


def jobs_of(app):
    """Read all jobs but the recurring ones, which have a key and whose first turn comes after the test."""
    with app.app_context(), read() as session:
        return list(session.execute(select(Job).where(Job.key.is_(None)).order_by(Job.id)).scalars())


def only_job(app):
    [job] = jobs_of(app)
    return job


def run_due(app):
    with app.app_context():
        return services(app).jobs.run_due()


def make_due(app, **values):
    """Let time pass for the jobs."""
    with app.app_context(), write() as session:
        session.execute(update(Job).where(Job.key.is_(None)).values(due_at=utc_in(-1), **values))


@contextmanager
def bounded(seconds):
    begin = time.monotonic()
    yield
    assert time.monotonic() - begin < seconds


def people_of(service, link):
    return service.fake.list_connections(service.api.read(link)["sessionId"])


# --- an end that the provider does not take -------------------------------------------------------------------------


def test_end_accepted_by_the_provider_leaves_no_due_job(service, app):
    link = service.api.create()
    assert service.api("PATCH", f"/session/{link}/end").status == 204
    job = only_job(app)
    assert (job.state, job.attempts, job.lease_owner, job.last_error) == ("done", 1, None, None)
    assert job.finished_on is not None
    assert run_due(app) == 0


@pytest.mark.parametrize("operation", ["end", "delete"])
@pytest.mark.parametrize(
    "error",
    [ProviderUnavailable(), ProviderTimeout(), ProviderAuthFailed(), RuntimeError("tops3cret")],
    ids=lambda error: type(error).__name__,
)
def test_worker_finishes_an_end_after_a_provider_outage(service, app, operation, error):
    link = service.api.create()
    service.join(link, attendee="ann")
    service.provider.behaviour = failing(error)

    method, path = ("PATCH", f"/session/{link}/end") if operation == "end" else ("DELETE", f"/session/{link}")
    assert service.api(method, path).status == 204
    meeting = service.api.read(link)
    assert meeting["endTime"] is not None
    assert service.api("POST", f"/session/{link}/token").status == 409
    assert len(people_of(service, link)) == 1, "the provider did not hear of it"
    job = only_job(app)
    assert (job.state, job.attempts, job.lease_owner) == ("pending", 1, None)
    assert "tops3cret" not in job.last_error
    assert run_due(app) == 0, "it waits a while before it comes again"

    make_due(app)
    assert run_due(app) == 1
    assert (only_job(app).state, only_job(app).attempts) == ("pending", 2), "the provider is still down"

    del service.provider.behaviour
    make_due(app)
    assert run_due(app) == 1
    assert (only_job(app).state, only_job(app).last_error) == ("done", None)
    assert people_of(service, link) == []
    assert service.api.read(link) == meeting


@ON_SQLITE
def test_hanging_provider_delays_an_end_by_one_attempt(service, app):
    """The call goes out as a real plugin's does, through the client that the core gives it."""
    with FaultyServer() as server:
        server.on("/end", hang())

        def ask():
            http = service.provider.context.http("account")
            http.request("POST", server.url("/end"), operation="session.end", idempotent=True)

        service.provider.behaviour = ask
        link = service.api.create()
        with bounded(3.0):
            assert service.api("PATCH", f"/session/{link}/end").status == 204
        assert server.count("/end") == 1, "one attempt"
    assert service.api.read(link)["endTime"] is not None
    job = only_job(app)
    assert (job.state, job.last_error.split(":")[0]) == ("pending", "provider_timeout")


def test_other_meetings_go_on_while_a_provider_hangs(service, app):
    """No transaction is open and no connection is held during the call."""
    called, release = threading.Event(), threading.Event()

    def hang_until_released():
        called.set()
        assert release.wait(20)

    slow, other = service.api.create(), service.api.create()
    service.provider.behaviour = hang_until_released
    ending = threading.Thread(target=lambda: service.api("PATCH", f"/session/{slow}/end"))
    ending.start()
    try:
        assert called.wait(10)
        with bounded(3.0):
            assert service.api.read(slow)["status"] == "ended", "it was committed before the provider was called"
            assert service.api("PATCH", f"/session/{slow}/end").status == 409
            assert service.api("PATCH", f"/session/{other}", {"extId": "edited"}).status == 204
            assert run_due(app) == 0, "the job is leased to the request that tries it"
    finally:
        release.set()
        ending.join(20)
    assert only_job(app).state == "done"


@ON_SQLITE
def test_late_webhook_of_an_early_join_makes_no_second_end(service, app):
    link = service.api.create()
    service.join(link)
    assert service.api("PATCH", f"/session/{link}/end").status == 204
    service.deliver()
    assert only_job(app).state == "done"


# --- leases, attempts, death ----------------------------------------------------------------------------------------


def test_job_of_a_dead_process_runs_again_after_its_lease(service, app, monkeypatch):
    link = service.api.create()
    service.join(link)

    def die():
        signal.raise_signal(signal.SIGINT)  # as a worker that is killed: nothing after the commit runs

    monkeypatch.setattr(service.provider, "behaviour", die, raising=False)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process of a parallel run ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            service.api("PATCH", f"/session/{link}/end")
    finally:
        signal.signal(signal.SIGINT, before)
    monkeypatch.undo()
    assert service.api.read(link)["status"] == "ended"
    assert (only_job(app).state, only_job(app).attempts) == ("pending", 1)
    assert only_job(app).lease_owner is not None
    assert run_due(app) == 0

    make_due(app, lease_until=utc_in(-1))
    assert run_due(app) == 1
    assert (only_job(app).state, only_job(app).attempts) == ("done", 2)
    assert people_of(service, link) == []


def test_worker_that_lost_its_lease_changes_nothing(service, app):
    link = service.api.create()
    service.provider.behaviour = failing(ProviderUnavailable())
    service.api("PATCH", f"/session/{link}/end")
    make_due(app)
    with app.app_context():
        jobs = services(app).jobs
        late = jobs.claim()
        make_due(app, lease_until=utc_in(-1))
        del service.provider.behaviour
        assert jobs.run_due() == 1
        assert only_job(app).state == "done"
        service.provider.behaviour = failing(ProviderUnavailable())
        assert jobs.run(late) is False
    assert (only_job(app).state, only_job(app).last_error) == ("done", None)


def test_many_workers_claim_each_job_once(service, app):
    service.provider.behaviour = failing(ProviderUnavailable())
    for _ in range(12):
        service.api("PATCH", f"/session/{service.api.create()}/end")
    make_due(app)
    running, twice = set(), []
    guard = threading.Lock()

    def take_all():
        claimed = []
        with app.app_context():
            while (job := services(app).jobs.claim()) is not None:
                with guard:
                    twice.extend([job.id] if job.id in running else [])
                    running.add(job.id)
                claimed.append(job.id)
        return claimed

    claimed = at_once([take_all] * 6)
    assert twice == []
    assert sorted(id for ids in claimed for id in ids) == [job.id for job in jobs_of(app)]


def test_the_longest_due_is_claimed_first(app):
    with app.app_context():
        with write() as session:
            for seconds in (-5, -50, -20, 60):
                session.execute(insert(Job).values(kind="k", payload={"s": seconds}, due_at=utc_in(seconds)))
        claimed = [services(app).jobs.claim() for _ in range(4)]
    assert [job and job.payload["s"] for job in claimed] == [-50, -20, -5, None]


def test_old_done_jobs_are_deleted_and_dead_ones_stay(app, monkeypatch):
    for module in (batches, queue):
        monkeypatch.setattr(module, "ROWS_PER_BATCH", 3)
    old, young = -DONE_KEPT_SECONDS - 60, -DONE_KEPT_SECONDS + 60
    with app.app_context():
        with write() as session:
            for state, seconds, count in (("done", old, 8), ("done", young, 2), ("dead", old, 1), ("pending", old, 1)):
                for _ in range(count):
                    session.execute(insert(Job).values(kind="k", payload={}, state=state, due_at=utc_in(seconds)))
        prune_jobs()
        assert sorted(job.state for job in jobs_of(app)) == ["dead", "done", "done", "pending"]


@ON_SQLITE
def test_a_job_that_was_killed_once_after_long_failing_goes_on(service, app):
    link = service.api.create()
    service.join(link)
    service.provider.behaviour = failing(ProviderUnavailable())
    service.api("PATCH", f"/session/{link}/end")
    make_due(app, attempts=MAX_ATTEMPTS)
    with app.app_context(), write() as session:
        session.execute(update(Job).values(lease_owner="killed", lease_until=utc_in(-1)))
    del service.provider.behaviour
    assert run_due(app) == 1
    assert only_job(app).state == "done"


@ON_SQLITE
def test_a_job_whose_worker_died_a_few_times_goes_on(app):
    jobs, runs = services(app).jobs, []
    jobs.declare(Work("unlucky", runs.append))
    with app.app_context():
        with write() as session:
            enqueue(session, "unlucky", {})
        for _ in range(3):
            assert jobs.claim() is not None
            make_due(app, lease_until=utc_in(-1))
        assert jobs.run_due() == 1
    assert (runs, only_job(app).state) == ([{}], "done")


@ON_SQLITE
def test_job_that_takes_its_workers_along_dies_however_young(app):
    jobs, runs = services(app).jobs, []
    jobs.declare(Work("deadly", runs.append))
    with app.app_context():
        with write() as session:
            deadly, _ = [enqueue(session, "deadly", {"number": number}) for number in range(2)]
            killed = {"lease_owner": "killed", "lease_until": utc_in(-1), "last_error": queue.UNENDED}
            session.execute(update(Job).where(Job.id == deadly).values(attempts=MAX_ATTEMPTS, **killed))
        assert [jobs.run(jobs.claim()) for _ in range(2)] == [False, True]
    assert runs == [{"number": 1}], "the other job runs"
    assert [(job.state, job.last_error) for job in jobs_of(app)] == [("dead", queue.UNENDED_AGAIN), ("done", None)]


@ON_SQLITE
def test_job_that_keeps_failing_dies_and_can_be_revived(service, app):
    link = service.api.create()
    service.join(link)
    service.provider.behaviour = failing(ProviderUnavailable())
    service.api("PATCH", f"/session/{link}/end")
    make_due(app, attempts=50 * MAX_ATTEMPTS)
    assert run_due(app) == 1
    assert only_job(app).state == "pending", "a provider may be away for days"
    with app.app_context(), write() as session:
        session.execute(update(Job).values(created_on=utc_in(-GIVE_UP_SECONDS - 1)))
    make_due(app, attempts=MAX_ATTEMPTS - 2)
    assert run_due(app) == 1
    assert only_job(app).state == "pending", "an operator may have revived it"
    make_due(app)
    assert run_due(app) == 1
    job = only_job(app)
    assert (job.state, job.attempts) == (JobState.DEAD, MAX_ATTEMPTS)
    assert job.last_error.startswith("provider_unavailable")
    assert job.finished_on is not None
    make_due(app)
    assert run_due(app) == 0

    del service.provider.behaviour
    with app.app_context():
        assert services(app).jobs.retry(job.id) is True
        assert services(app).jobs.retry(job.id) is False, "it is not dead any more"
    assert (only_job(app).attempts, only_job(app).finished_on) == (0, None)
    assert run_due(app) == 1
    assert only_job(app).state == "done"
    assert people_of(service, link) == []


@ON_SQLITE
def test_job_that_the_provider_rejects_dies_at_once(service, app):
    service.provider.behaviour = failing(ProviderRejected())
    assert service.api("PATCH", f"/session/{service.api.create()}/end").status == 204
    assert only_job(app).state == "dead"


@ON_SQLITE
def test_job_of_a_kind_of_a_later_release_is_kept(app):
    with app.app_context():
        with write() as session:
            enqueue(session, "from_the_future", {"a": 1})
        jobs = services(app).jobs
        assert jobs.run(jobs.claim()) is False
        with pytest.raises(KeyError):
            jobs.run_now("from_the_future")
    job = only_job(app)
    assert (job.state, job.attempts, job.lease_owner) == ("pending", 1, None)
    assert job.last_error == "no handler for the kind 'from_the_future'"


@ON_SQLITE
def test_failure_of_a_job_that_is_run_now_is_raised(app):
    def fail(payload):
        raise RuntimeError("a bug")

    jobs = services(app).jobs
    jobs.declare(Work("failing", fail))
    with app.app_context():
        with write() as session:
            enqueue(session, "failing", {}, delay_seconds=60)
        with pytest.raises(RuntimeError, match="a bug"):
            jobs.run_now("failing")
    assert (only_job(app).state, only_job(app).last_error) == ("pending", "RuntimeError")


# --- workers --------------------------------------------------------------------------------------------------------


def test_stopping_worker_lets_its_due_job_finish(service, app):
    service.provider.behaviour = failing(ProviderUnavailable())
    link = service.api.create()
    service.join(link)
    service.api("PATCH", f"/session/{link}/end")
    make_due(app)
    begun, release = threading.Event(), threading.Event()

    def slow():
        begun.set()
        assert release.wait(20)

    service.provider.behaviour = slow
    worker = Worker(services(app).jobs, app.app_context)
    worker.start()
    assert begun.wait(10)
    threading.Timer(0.1, release.set).start()
    worker.stop(20)
    assert only_job(app).state == "done"
    assert people_of(service, link) == []


def test_long_job_delays_no_other_job(app):
    jobs, begun, release, done = services(app).jobs, threading.Event(), threading.Event(), threading.Event()

    def copy(payload):
        begun.set()
        assert release.wait(20)

    jobs.declare(Work("copy", copy, takes_long=True))
    jobs.declare(Work("short", lambda payload: done.set()))
    with app.app_context(), write() as session:
        enqueue(session, "copy", {})
    worker = Worker(jobs, app.app_context)
    worker.start()
    assert begun.wait(10)
    with app.app_context(), write() as session:
        for _ in range(2):
            enqueue(session, "copy", {})
        enqueue(session, "short", {})
    assert done.wait(10)
    release.set()
    worker.stop(20)


def test_each_lane_claims_only_its_own_kinds(app):
    jobs = services(app).jobs
    jobs.declare(Work("copy", lambda payload: None, takes_long=True))
    for kind, is_long in (("short", False), ("copy", True)):
        with app.app_context():
            with write() as session:
                enqueue(session, kind, {})
            assert jobs.claim(lane=Lane.ORDINARY if is_long else Lane.LONG) is None
            assert jobs.claim(lane=Lane.LONG if is_long else Lane.ORDINARY).kind == kind


def test_more_threads_copy_more_at_once(app):
    jobs, both, done = services(app).jobs, threading.Barrier(2), threading.Semaphore(0)

    def copy(payload):
        both.wait(10)
        done.release()

    jobs.declare(Work("copy", copy, takes_long=True))
    with app.app_context(), write() as session:
        for _ in range(2):
            enqueue(session, "copy", {})
    worker = Worker(jobs, app.app_context, threads=2 * jobs_module.THREADS_PER_OTHER_ONE)
    worker.start()
    assert [done.acquire(timeout=15) for _ in range(2)] == [True] * 2
    worker.stop(20)


def test_worker_once_command_runs_due_jobs(service, app):
    service.provider.behaviour = failing(ProviderUnavailable())
    service.api("PATCH", f"/session/{service.api.create()}/end")
    make_due(app)
    del service.provider.behaviour
    result = app.test_cli_runner().invoke(commands, ["worker", "--once"])
    assert (result.exit_code, result.stdout) == (0, "1 jobs tried\n"), result.output
    assert only_job(app).state == "done"


@ON_SQLITE
@pytest.mark.parametrize("error", [SystemExit(1), GeneratorExit(), KeyboardInterrupt()], ids=repr)
def test_job_that_raises_a_base_exception_is_retried(app, error):
    def handler(payload):
        raise error

    jobs = services(app).jobs
    jobs.declare(Work("raises", handler))
    with app.app_context():
        with write() as session:
            enqueue(session, "raises", {})
        thread = threading.Thread(target=in_context, args=(app, jobs.run_due))
        thread.start()
        thread.join(30)
        with read() as session:
            job = session.execute(select(Job).where(Job.kind == "raises")).scalar_one()
    assert (job.state, job.last_error, job.lease_owner) == (JobState.PENDING, type(error).__name__, None)


def in_context(app, call):
    with app.app_context():
        call()
