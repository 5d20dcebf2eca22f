"""What keeps load low and waits short: back-off with jitter, deadlines of provider calls, stand-ins that work."""

import time
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from tests.support.service import ON_SQLITE, count_meetings, credential, plugins_with, service_of
from videoconf.api.services import services
from videoconf.db.functions import utc_in
from videoconf.db.transactions import read, write
from videoconf.errors import ProviderUnavailable
from videoconf.jobs.models import Job
from videoconf.jobs.queue import enqueue, enqueue_claimed, enqueue_once
from videoconf.jobs.work import Work
from videoconf.providers import ArchiveStatus, SessionCreation
from videoconf.providers.deadline import PROVIDER_BUDGET_SECONDS, seconds_left
from videoconf_fake.provider import FakeProvider

# --- back-off -------------------------------------------------------------------------------------------------------


def delays(app, attempts, count=1):
    """Let jobs fail after so many attempts; return the seconds until the next attempt of each."""
    jobs = services(app).jobs

    def fail(payload):
        raise RuntimeError("a bug")

    jobs.declare(Work("failing", fail))
    with app.app_context():
        with write() as session:
            ids = [enqueue(session, "failing", {}) for _ in range(count)]
            session.execute(update(Job).where(Job.id.in_(ids)).values(attempts=attempts - 1))
        for _ in ids:
            jobs.run(jobs.claim())
        with read() as session:
            rows = session.execute(select(Job.due_at, utc_in(0).label("now")).where(Job.id.in_(ids))).all()
    return [(row.due_at - row.now).total_seconds() for row in rows]


@pytest.mark.parametrize(
    ("attempts", "longest"), [(1, 5), (2, 10), (3, 20), (6, 160), (8, 640), (9, 900), (15, 900), (19, 900)]
)
@ON_SQLITE
def test_delay_doubles_from_five_seconds_to_fifteen_minutes(app, attempts, longest):
    [seconds] = delays(app, attempts)
    assert longest / 2 - 1 <= seconds <= longest


def test_delays_of_jobs_that_fail_together_differ(app):
    spread = delays(app, 6, count=12)
    assert all(79 <= seconds <= 160 for seconds in spread)
    assert max(spread) - min(spread) > 10


@ON_SQLITE
def test_job_that_was_delayed_is_not_due_before(app):
    with app.app_context():
        with write() as session:
            enqueue(session, "end_session", {"meeting_id": 0}, delay_seconds=30)
            at_once = enqueue(session, "end_session", {"meeting_id": 0})
            held = enqueue_claimed(session, "end_session", {"meeting_id": 0})
        assert held.attempts == 1
        assert services(app).jobs.claim().id == at_once
        assert services(app).jobs.claim() is None


@ON_SQLITE
def test_job_that_waits_does_the_work_of_a_second_one(app):
    """One job of a kind and a number; one that a worker has begun, or that is done, may have missed the news."""

    def add(kind, number):
        with write() as session:
            enqueue_once(session, kind, "meeting_id", number, delay_seconds=0, tenant="acme")
            found = session.execute(select(Job.kind, Job.payload).where(Job.key.is_(None)).order_by(Job.id)).all()
        return [(row.kind, row.payload["meeting_id"]) for row in found if row.payload["tenant"] == "acme"]

    with app.app_context():
        jobs = services(app).jobs
        once = [("end_session", 1), ("end_session", 2), ("hold_bans", 1)]
        for kind, number in once * 2:
            found = add(kind, number)
        assert found == once
        begun = jobs.claim()
        assert add(begun.kind, begun.payload["meeting_id"]) == [*once, once[0]]
        jobs.run(begun)
        assert add(begun.kind, begun.payload["meeting_id"]) == [*once, once[0]], "the one that waits is enough"
        with write() as session:
            session.execute(update(Job).where(Job.key.is_(None)).values(state="done"))
        assert add(begun.kind, begun.payload["meeting_id"]) == [*once, once[0], once[0]]


# --- deadlines ------------------------------------------------------------------------------------------------------

STEP_SECONDS = 0.02


class Timed(FakeProvider):
    """Notes how much time each call is given. A call without a deadline has the whole budget, however late it is."""

    def __init__(self, *args):
        super().__init__(*args)
        self.given = {}


def _timed(name):
    def call(self, *args, **kwargs):
        time.sleep(STEP_SECONDS)
        self.given[name] = seconds_left()
        return getattr(super(Timed, self), name)(*args, **kwargs)

    return call


CALLS = (
    "ensure_session",
    "issue_token",
    "end_session",
    "list_connections",
    "disconnect",
    "mute",
    "start_archive",
    "stop_archive",
    "list_archives",
    "delete_archive",
)
for _name in CALLS:
    setattr(Timed, _name, _timed(_name))


@ON_SQLITE
def test_every_provider_call_has_a_deadline(make_app, headers):
    app = make_app(plugins=plugins_with(Timed))
    service = service_of(app, headers)
    api, given = service.api, service.provider.given
    link = api.create()
    connection = service.fake.join(credential(api.token(link)))
    service.deliver()
    with app.app_context():
        services(app).jobs.run_now("reconcile_rosters")
    assert api("POST", f"/session/{link}/mute").status == 204
    archive = api("POST", f"/session/{link}/archives", {}).json["id"]
    with app.app_context():
        services(app).jobs.works["reconcile_archives_of_meeting"].handler({"meeting_id": 1})
    assert api("POST", f"/archives/{archive}/stop").status == 200
    service.fake.change_archive(archive, ArchiveStatus.AVAILABLE)
    service.deliver()
    assert api("DELETE", f"/archives/{archive}").status == 200
    assert api("DELETE", f"/session/{link}/attendees/{connection}").status == 204
    assert api("PATCH", f"/session/{link}/end").status == 204
    assert set(given) == set(CALLS)
    late = {name: seconds for name, seconds in given.items() if seconds > PROVIDER_BUDGET_SECONDS - STEP_SECONDS / 2}
    assert late == {}
    assert 0.5 < given["end_session"] <= 2, "the request that ends a meeting waits for a moment"
    assert min(given[name] for name in CALLS if name != "end_session") > 5


# --- stand-ins ------------------------------------------------------------------------------------------------------


class Down(FakeProvider):
    def ensure_session(self, request):
        raise ProviderUnavailable


class JustInTime(FakeProvider):
    key = "lazy"

    @property
    def account(self):
        return "lazy"

    @property
    def capabilities(self):
        return replace(super().capabilities, session_creation=SessionCreation.JUST_IN_TIME)


class Eager(FakeProvider):
    key = "eager"

    @property
    def account(self):
        return "eager"


@pytest.fixture
def configured(monkeypatch, fake_settings):
    for key in ("LAZY", "EAGER"):
        for name, value in fake_settings.items():
            monkeypatch.setenv(name.replace("_FAKE_", f"_{key}_"), value)


@ON_SQLITE
def test_just_in_time_provider_does_not_take_over(make_app, headers, configured):
    """It makes no session now, so that it cannot be seen to work: the next that can prove it gets the meeting."""
    app = make_app(plugins=plugins_with(Down, JustInTime, Eager), providers=("fake", "lazy", "eager"))
    service = service_of(app, headers)
    assert service.api.read(service.api.create())["provider"] == "eager"


@ON_SQLITE
def test_just_in_time_provider_alone_leaves_the_failure(make_app, headers, configured):
    app = make_app(plugins=plugins_with(Down, JustInTime), providers=("fake", "lazy"))
    service = service_of(app, headers)
    assert service.api("POST", "/session", {}).problem == (503, "provider_unavailable")
    assert count_meetings(app) == 0


@ON_SQLITE
def test_earlier_provider_does_not_take_over(make_app, headers, configured):
    """Only those that come after the one that was asked: whoever comes before may just have failed."""
    app = make_app(plugins=plugins_with(Eager, Down), providers=("eager", "fake"))
    service = service_of(app, headers)
    assert service.api("POST", "/session", {"provider": "fake"}).problem[1] == "provider_unavailable"
    assert service.api.read(service.api.create())["provider"] == "eager"
