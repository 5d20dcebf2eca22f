"""``Idempotency-Key`` on ``POST /session``: one key, one meeting, whatever crashes, races or is repeated."""

import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event, select, text, update

from tests.support.clock import SteppedClock
from tests.support.service import service_of
from videoconf import idempotency
from videoconf.api.services import services
from videoconf.db.functions import utc_in
from videoconf.db.transactions import read, write
from videoconf.db.types import db
from videoconf.errors import IdempotencyInProgress, ProviderRejected, ProviderTimeout, ProviderUnavailable
from videoconf.idempotency import IdempotencyKey
from videoconf.meetings import create as creation
from videoconf.meetings.models import Meeting
from videoconf.meetings.session import Sessions
from videoconf.providers import SessionRef
from videoconf.webhooks.receive import REPLAY

CRASHES = 0.06
"""How probable a crash is before each statement and each commit."""


class Crash(BaseException):
    """The process died here: nothing that was not committed is left."""


@pytest.fixture
def create(client, headers):
    def post(key=None, body=None, **options):
        sent = {**headers(**options), **({} if key is None else {"Idempotency-Key": key})}
        return client.post("/session", headers=sent, json=body or {})

    return post


def meetings_of(app):
    with app.app_context(), read() as session:
        return session.execute(select(Meeting)).scalars().all()


def expire_leases(app):
    with app.app_context(), write() as session:
        session.execute(update(IdempotencyKey).values(lease_until=utc_in(-1)))


def failing(service, error, *, after=False):
    """Have ``ensure_session`` fail once, before or after it was carried out; return the meetings it is called for."""
    calls = []

    def ensure(request):
        calls.append(request.meeting_id)
        if len(calls) > 1:
            return service.provider.real.ensure_session(request)
        if after:
            service.provider.real.ensure_session(request)
        raise error

    service.provider.script("ensure_session", ensure, always=True)
    return calls


@pytest.fixture
def crash_after_the_provider(app, service):
    """Give a function after which a create crashes at its first statement after the provider's answer."""
    answered = []

    def ensure(request):
        answered.append(request)
        return service.provider.real.ensure_session(request)

    def crash(*statement):
        if answered:
            answered.clear()
            raise Crash

    def begin():
        service.provider.script("ensure_session", ensure, always=True)
        with app.app_context():
            event.listen(db.engine, "before_cursor_execute", crash)

    return begin


@pytest.mark.needs
def test_the_same_key_gives_the_same_answer_byte_for_byte(app, create):
    first, second = create("k-1", {"extId": "7"}), create("k-1", {"extId": "7"})
    assert (first.status_code, first.data) == (second.status_code, second.data)
    assert first.status_code == 200
    assert len(meetings_of(app)) == 1


def test_each_request_without_a_key_makes_a_meeting(app, create):
    assert create().data != create().data
    assert len(meetings_of(app)) == 2


def test_a_key_belongs_to_its_tenant(app, create):
    first = {tenant: create("k", tenant=tenant).data for tenant in ("a", "b")}
    assert first["a"] != first["b"]
    assert {tenant: create("k", tenant=tenant).data for tenant in first} == first
    assert create("k", {"extId": "x"}, tenant="c").status_code == 200, "another tenant's key is independent"


def test_a_key_does_not_stand_for_another_request(app, create):
    create("k", {"extId": "7"})
    again = create("k", {"extId": "8"})
    assert (again.status_code, again.json["code"]) == (422, "idempotency_key_reused")
    assert len(meetings_of(app)) == 1


def test_order_of_members_does_not_change_the_request(create):
    first = create("k", {"extId": "7", "extMetadata": {"a": 1, "b": 2}})
    assert create("k", {"extMetadata": {"b": 2, "a": 1}, "extId": "7"}).data == first.data


@pytest.mark.parametrize("key", ["", "a" * 256, "two words", "a,b", "é", "tab\t"])
def test_invalid_key_is_refused(app, create, key):
    answer = create(key.encode().decode("latin-1"))
    assert (answer.status_code, answer.json["code"]) == (400, "idempotency_key_invalid")
    assert meetings_of(app) == []


def test_invalid_request_uses_no_key(create):
    assert create("k", {"isScheduled": True}).status_code == 422
    assert create("k", {"extId": "x"}).status_code == 200


@pytest.fixture
def schedule(make_app, headers):
    """Give a service, a function that schedules a meeting for one minute after the test's begin, and the clock."""
    clock = SteppedClock()
    service = service_of(make_app(clock=clock), headers)
    body = {"isScheduled": True, "scheduleTime": clock.text(minutes=1)}
    return service, lambda key="k": service.api("POST", "/session", body, Idempotency_Key=key), clock


def test_answer_stays_after_the_scheduled_time(schedule):
    _, post, clock = schedule
    first = post()
    assert first.status == 200
    clock.step(minutes=2)
    again = post()
    assert (again.status, again.body) == (200, first.body)
    assert post("another").wrong == ["scheduleTime"], "what is new must be in the future"


@pytest.mark.needs("eager")
def test_create_is_resumed_after_the_scheduled_time(schedule):
    service, post, clock = schedule
    calls = failing(service, ProviderTimeout())
    assert post().status == 504
    clock.step(minutes=2)
    answer = post()
    assert answer.status == 200
    assert calls == [answer.json] * 2


@pytest.mark.needs("eager")
def test_second_request_must_wait_while_the_first_runs(service, create):
    begun, go_on = threading.Event(), threading.Event()

    def slow(request):
        begun.set()
        assert go_on.wait(10)
        return service.provider.real.ensure_session(request)

    service.provider.script("ensure_session", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(create, "k")
        assert begun.wait(10)
        waiting = create("k")
        go_on.set()
        assert first.result().status_code == 200
    assert (waiting.status_code, waiting.json["code"]) == (409, "idempotency_in_progress")
    assert waiting.headers["Retry-After"] == "2", "a second, and up to a half more"
    assert create("k").data == first.result().data


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.needs("eager")
def test_an_unknown_outcome_is_resumed_by_the_next_request(app, service, create, after):
    calls = failing(service, ProviderTimeout(), after=after)
    assert create("k").status_code == 504
    answer = create("k")
    assert answer.status_code == 200
    link = json.loads(answer.data)
    assert calls == [link, link], "the provider is asked for the same meeting again"
    assert [meeting.meeting_link for meeting in meetings_of(app)] == [link]


@pytest.mark.needs("eager")
def test_failure_without_effect_releases_the_key(app, service, create):
    service.provider.script("ensure_session", ProviderUnavailable())
    assert create("k").status_code == 503
    assert meetings_of(app) == []
    assert create("k", {"extId": "another request"}).status_code == 200


@pytest.mark.parametrize("error", [ProviderUnavailable(), ProviderRejected("no")])
@pytest.mark.needs("eager")
def test_request_that_lost_its_lease_removes_nothing(app, service, create, error):
    def lose(request):
        with write() as session:
            session.execute(update(IdempotencyKey).values(owner="another", lease_until=utc_in(30)))
        raise error

    service.provider.script("ensure_session", lose)
    assert create("k").status_code == error.status
    assert len(meetings_of(app)) == 1, "it is the other's"
    assert create("k").json["code"] == "idempotency_in_progress"


@pytest.mark.needs("eager")
def test_request_that_lost_its_lease_finishes_nothing(app, service, create):
    def lose(request):
        with write() as session:
            session.execute(update(IdempotencyKey).values(owner="another", lease_until=utc_in(30)))
        return service.provider.real.ensure_session(request)

    service.provider.script("ensure_session", lose)
    assert create("k").json["code"] == "idempotency_in_progress"
    [meeting] = meetings_of(app)
    assert (meeting.is_ready, meeting.session_id) == (False, None)


@pytest.mark.needs("eager")
def test_refused_create_is_refused_again_without_a_call(app, service, create):
    calls = failing(service, ProviderRejected("no"))
    first, second = create("k"), create("k")
    assert (first.status_code, second.status_code) == (422, 422)
    assert {**first.json, "requestId": 0} == {**second.json, "requestId": 0}
    assert len(calls) == 1
    assert meetings_of(app) == []


@pytest.mark.needs("eager")
def test_crashed_create_that_is_not_retried_is_removed(app, create, crash_after_the_provider):
    crash_after_the_provider()
    for key in ("k", None):
        with pytest.raises(Crash):
            create(key)
    assert len(meetings_of(app)) == 2
    take_back = services(app).creation.take_back_abandoned
    with app.app_context():
        for age in (0, 280):
            with write() as session:
                session.execute(update(Meeting).values(created_on=utc_in(-age)))
            take_back()
            assert len(meetings_of(app)) == 2, "their clients may still come"
        with write() as session:
            session.execute(update(Meeting).values(created_on=utc_in(-301)))
        take_back()
        assert len(meetings_of(app)) == 1, "one is under a lease that lasts"
        expire_leases(app)
        take_back()
    assert meetings_of(app) == []


@pytest.mark.needs("eager")
def test_session_is_not_bound_to_a_meeting_at_another_provider(app, create, crash_after_the_provider):
    crash_after_the_provider()
    with pytest.raises(Crash):
        create("k")
    [meeting] = meetings_of(app)
    ref = SessionRef(meeting.account, "a session")
    with app.app_context(), write() as session:
        assert not Sessions(REPLAY).bind(session, meeting.id, "another", ref)
        assert Sessions(REPLAY).bind(session, meeting.id, meeting.provider, ref)
        assert not Sessions(REPLAY).bind(
            session, meeting.id, meeting.provider, SessionRef(meeting.account, "a later one")
        )
    assert meetings_of(app)[0].session_id == "a session"


def test_a_lease_that_was_lost_is_not_renewed(app):
    with app.app_context(), write() as session:
        first = idempotency.claim(session, "t", "k", "request")
        session.execute(update(IdempotencyKey).values(lease_until=utc_in(-1)))
        assert idempotency.renew(session, first), "no other request took it"
        with pytest.raises(IdempotencyInProgress):
            idempotency.claim(session, "t", "k", "request")
        session.execute(update(IdempotencyKey).values(lease_until=utc_in(-1)))
        second = idempotency.claim(session, "t", "k", "request")
        assert not idempotency.renew(session, first)
        assert idempotency.renew(session, second)


@pytest.mark.needs("eager")
def test_finished_creations_do_not_delay_an_abandoned_one(app, create, crash_after_the_provider, monkeypatch):
    create("k")
    monkeypatch.setattr(creation, "BATCH", 1)
    crash_after_the_provider()
    with pytest.raises(Crash):
        create()
    with app.app_context():
        with write() as session:
            session.execute(update(Meeting).values(created_on=utc_in(-1e6)))
        services(app).creation.take_back_abandoned()
    assert [meeting.is_ready for meeting in meetings_of(app)] == [True]


def test_released_key_can_be_abandoned_at_once(app):
    """Another key of its tenant, and the same key of another tenant, are still leased."""
    with app.app_context():
        with write() as session:
            claims = [
                idempotency.claim(session, tenant, key, "request")
                for tenant, key in (("t", "k"), ("t", "another"), ("u", "k"))
            ]
            for claim in claims:
                idempotency.aim(session, claim, f"target of {claim.tenant}/{claim.key}")
        idempotency.release(claims[0])
        with write() as session:
            abandoned = [idempotency.abandon(session, f"target of {claim.tenant}/{claim.key}") for claim in claims]
            left = session.execute(select(IdempotencyKey.tenant, IdempotencyKey.key, IdempotencyKey.state)).all()
    assert abandoned == [True, False, False]
    assert sorted(left) == [("t", "another", "busy"), ("u", "k", "busy")]


def test_key_of_a_finished_creation_is_not_released(app, create):
    first = create("k")
    with app.app_context(), write() as session:
        assert idempotency.abandon(session, json.loads(first.data))
        assert session.execute(select(IdempotencyKey.state)).scalar_one() == "done"
    assert create("k").data == first.data


def test_finished_creation_is_never_removed(app, create):
    create("k")
    expire_leases(app)
    with app.app_context():
        with write() as session:
            session.execute(update(Meeting).values(created_on=utc_in(-1e6)))
        services(app).creation.take_back_abandoned()
    assert len(meetings_of(app)) == 1


def test_keys_are_deleted_after_a_day(app, create):
    first = create("k")
    with app.app_context():
        for hours, is_kept in ((0, True), (23.9, True), (24.1, False)):
            with write() as session:
                session.execute(update(IdempotencyKey).values(created_on=utc_in(-3600 * hours)))
            idempotency.reap()
            assert (create("k").data == first.data) is is_kept


def test_crashes_at_any_statement_leave_one_meeting_per_key(app, service, headers):
    """I-7 and I-8: per key one meeting, one session and one answer; no session serves two meetings."""
    dice, guard = random.Random(20261121), threading.Lock()
    asked = []

    def crash_or_not(*statement):
        with guard:
            if dice.random() < CRASHES:
                raise Crash

    def ensure(request):
        with guard:
            asked.append(request.meeting_id)
            outcome = dice.random()
        if outcome < 0.08:
            raise ProviderTimeout
        ref = service.provider.real.ensure_session(request)
        if outcome < 0.16:
            raise ProviderTimeout
        return ref

    service.provider.script("ensure_session", ensure, always=True)
    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", crash_or_not)
    event.listen(engine, "commit", crash_or_not)

    clients = [app.test_client() for _ in range(4)]
    keys = [f"key-{number}" for number in range(60)]
    answers = {key: [] for key in keys}

    def run(client, seed):
        order = random.Random(seed).sample(keys, len(keys))
        for key in order:
            for _ in range(3):
                try:
                    answer = client.post("/session", headers={**headers(), "Idempotency-Key": key}, json={"extId": key})
                except Crash:
                    continue
                with guard:
                    answers[key].append((answer.status_code, answer.data))

    threads = [threading.Thread(target=run, args=(client, seed)) for seed, client in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    event.remove(engine, "before_cursor_execute", crash_or_not)
    event.remove(engine, "commit", crash_or_not)
    service.provider.script("ensure_session")
    expire_leases(app)
    for key in keys:  # every client comes again once the faults are over
        answer = clients[0].post("/session", headers={**headers(), "Idempotency-Key": key}, json={"extId": key})
        answers[key].append((answer.status_code, answer.data))

    assert {status for given in answers.values() for status, _ in given} <= {200, 409, 503, 504}
    made = meetings_of(app)
    assert len(made) == len(keys)
    rooms = {meeting.session_id for meeting in made}
    assert len(rooms) == len(keys) or rooms == {None}, "rooms that are made just in time have yet to be"
    assert all(meeting.is_ready for meeting in made)
    links = {meeting.ext_id: meeting.meeting_link for meeting in made}
    for key, given in answers.items():
        told = {data for status, data in given if status == 200}
        assert told == {json.dumps(links[key]).encode()}
    assert set(asked) <= set(links.values()), "the provider was asked for a meeting without a caller"
    with app.app_context(), read() as session:
        created = "SELECT count(*) FROM audit_entry WHERE action = 'meeting.created'"
        assert session.execute(text(created)).scalar_one() == len(keys)
