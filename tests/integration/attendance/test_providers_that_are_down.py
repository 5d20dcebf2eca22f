"""A provider that is down is asked once in a run, and each meeting has its turn."""

import time
from datetime import datetime

import pytest

from tests.integration.attendance.model import Event, text
from tests.integration.attendance.scripted import Script
from tests.support.service import ON_SQLITE
from videoconf.api.services import services
from videoconf.errors import ProviderRejected, ProviderTimeout, ProviderUnavailable
from videoconf.providers import Roster, RosterConnection


@pytest.fixture
def held(service, clock):
    """Hold three meetings, with a person at each."""
    scripts = []
    for number in range(3):
        script = Script(service)
        script.link = script.create()
        script.deliver([Event("joined", clock.now, f"c{number}", "ann")])
        scripts.append(script)
    return scripts


@pytest.fixture
def asked(service):
    """Return the sessions that the provider was asked about; ``asked.answer`` is called for each."""

    class Asked(list):
        def answer(self, session_id):
            return Roster([], complete=True)

    asked = Asked()

    def list_connections(session):
        asked.append(session.session_id)
        return asked.answer(session.session_id)

    service.provider.list_connections = list_connections
    return asked


@pytest.fixture
def run(app, clock):
    def run():
        clock.step(minutes=1)
        with app.app_context():
            services(app).jobs.run_now("reconcile_rosters")

    return run


@pytest.mark.parametrize("error", [ProviderUnavailable(), ProviderTimeout()], ids=lambda error: type(error).__name__)
def test_provider_that_is_down_is_asked_once_a_run(held, asked, run, error):
    def fail(session_id):
        raise error

    asked.answer = fail
    run()
    assert len(asked) == 1
    run()
    assert len(asked) == 2


def test_each_meeting_has_its_turn_at_a_failing_provider(held, asked, run):
    """The meeting that was asked about last waits longest, or one broken meeting would take every run's one call."""

    def fail(session_id):
        raise ProviderUnavailable

    asked.answer = fail
    for _ in held:
        run()
    assert sorted(asked) == sorted(script.session_id for script in held)


@ON_SQLITE
def test_run_that_takes_long_is_continued_by_the_next(held, asked, run, monkeypatch):
    """A run ends in time for a server that stops; the next one begins with a meeting that was not asked about."""
    monkeypatch.setattr("videoconf.attendance.roster.RUN_SECONDS", 0.5)

    def answer(session_id):
        time.sleep(0.6)
        return Roster([], complete=True)

    asked.answer = answer
    run()
    assert len(asked) == 1
    run()
    assert len(set(asked)) == len(asked) == 2


def test_refusal_of_one_meeting_does_not_stop_the_others(held, asked, run):
    def refuse_first(session_id):
        if session_id == held[0].session_id:
            raise ProviderRejected("unknown room")
        return Roster([], complete=True)

    asked.answer = refuse_first
    for _ in range(2):
        run()
    assert sorted(asked) == sorted(2 * [script.session_id for script in held])
    active = [script.service.api.attendees(script.link)[0]["active"] for script in held]
    assert active == [True, False, False]


def test_list_of_one_meeting_concerns_its_own_connections(held, asked, run, service, clock):
    """The same connection id in every meeting: what one meeting's list lacks is still at the others."""
    for script in held:
        script.deliver([Event("joined", clock.now, "same", "bob")])
    asked.answer = lambda session_id: Roster(
        [] if session_id == held[0].session_id else [RosterConnection("same")], complete=True
    )
    for _ in range(2):
        run()
    there = [{person["attendee"]: person["active"] for person in service.api.attendees(script.link)} for script in held]
    assert there == [{"ann": False, "bob": False}, *[{"ann": False, "bob": True}] * 2]


def test_list_proves_nothing_about_a_join_after_its_request(held, asked, run, service, clock):
    """The join falls between the question and its answer; the next two lists in a row are the first that count."""
    [script, *_] = held

    def answer(session_id):
        if session_id == script.session_id and len(lists) == 0:
            clock.step(seconds=1)
            script.deliver([Event("joined", clock.now, "late", "bob")])
        lists.append(clock.now)
        return Roster([RosterConnection(f"c{number}") for number in range(3)], complete=True)

    lists = []
    asked.answer = answer
    observed = []
    for _ in range(3):
        run()
        observed.append(clock.now)
    [bob] = [person for person in service.api.attendees(script.link) if person["attendee"] == "bob"]
    assert not bob["active"]
    assert bob["connections"][0]["left"] == text(observed[1])


def test_listed_connection_is_refreshed_at_half_of_its_cap(held, asked, run, service, clock, app):
    """A list that repeats what is known writes nothing until half of the time has passed that silence may last."""
    [script, *_] = held
    asked.answer = lambda session_id: Roster([RosterConnection(f"c{number}") for number in range(3)], complete=True)
    begin = clock.now
    clock.step(hours=11)
    run()
    assert modified(service, script) == begin
    clock.step(hours=1)
    run()
    assert modified(service, script) == clock.now


def modified(service, script):
    [person] = [one for one in service.api.attendees(script.link) if one["connections"][0]["id"] == "c0"]
    return datetime.fromisoformat(person["modifiedOn"])
