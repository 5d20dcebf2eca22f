"""Which events count, whose name stays, and what a late event starts: by the evidence, in whatever order it comes."""

import json
from datetime import timedelta
from itertools import permutations

import pytest
from sqlalchemy import select

from tests.integration.attendance.model import Event
from tests.integration.attendance.scripted import Script
from videoconf.api.services import services
from videoconf.attendance.merge import merge
from videoconf.attendance.models import AttendeeConnection
from videoconf.db.transactions import read, write
from videoconf.jobs.models import Job
from videoconf.meetings.models import Meeting
from videoconf.providers import EventKind, ProviderEvent, SessionRef
from videoconf.webhooks.models import WebhookEvent


@pytest.fixture
def script(service):
    script = Script(service)
    script.link = script.create()
    return script


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_earliest_person_and_name_stay(script, clock, order):
    begin = clock.now
    events = [
        Event("activity", begin + timedelta(minutes=number), "c", who, who.upper())
        for number, who in enumerate(("mia", "zoe", "ann"))
    ]
    clock.step(minutes=10)
    for place in order:
        script.deliver([events[place]])
    [person] = script.service.api.attendees(script.link)
    assert (person["attendee"], person["name"]) == ("mia", "MIA")


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_smallest_of_persons_at_one_moment_stays(script, clock, order):
    events = [Event("activity", clock.now, "c", who, who.upper()) for who in ("mia", "zoe", "ann")]
    for place in order:
        script.deliver([events[place]])
    [person] = script.service.api.attendees(script.link)
    assert (person["attendee"], person["name"]) == ("ann", "ANN")


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_order_of_events_changes_nothing_in_rows(script, app, clock, order):
    """Nor what no answer shows: the time of a name that is not known would be that of whichever event came first."""
    begin = clock.now
    times = [begin + timedelta(minutes=minute) for minute in range(4)]
    events = [
        [Event("activity", times[0], "c"), Event("activity", times[0], "nameless")],
        [Event("joined", times[1], "c", "ann"), Event("left", times[1], "nameless", reason="left")],
        [Event("left", times[2], "c", None, "Ann", reason="left"), Event("activity", times[2], "nameless")],
        [Event("joined", times[3], "c", "ann", "Later"), Event("joined", times[3], "nameless")],
    ]
    clock.step(minutes=10)
    for place in order:
        script.deliver(events[place])
    with app.app_context(), read() as session:
        found = session.execute(select(AttendeeConnection.__table__)).mappings()
        rows = {row["connection_id"]: row for row in found}
    same = {"last_leave": times[2], "leave_reason": "left", "first_activity": times[0], "last_evidence": times[3]}
    named = {"attendee": "ann", "attendee_at": times[1], "name": "Ann", "name_at": times[2]}
    known = {
        "c": {**same, **named, "first_join": times[1], "last_join": times[3]},
        "nameless": {
            **same,
            **dict.fromkeys(named),
            "last_leave": times[1],
            "first_join": times[3],
            "last_join": times[3],
        },
    }
    assert {id: {name: rows[id][name] for name in wanted} for id, wanted in known.items()} == known


@pytest.mark.parametrize("lacking", ["connection_id", "at"])
@pytest.mark.parametrize("kind", ["joined", "left", "activity"])
def test_event_that_lacks_evidence_is_ignored(script, service, app, clock, kind, lacking):
    event = {"kind": kind, "dedupe_key": "k", "session_id": script.session_id}
    event |= {"connection_id": "c", "at": clock.now.isoformat()}
    del event[lacking]
    assert service.post(service.signed(json.dumps([event]).encode())).status == 204
    assert service.api.attendees(script.link) == []
    with app.app_context(), read() as session:
        assert list(session.execute(select(WebhookEvent.status)).scalars()) == ["ignored"]


def test_event_without_time_is_not_merged(script, app):
    with app.app_context(), write() as session:
        meeting_id = session.execute(select(Meeting.id)).scalar_one()
        with pytest.raises(ValueError, match="time"):
            merge(session, meeting_id, ProviderEvent(EventKind.JOINED, dedupe_key="k", connection_id="c"))
    assert script.service.api.attendees(script.link) == []


def test_event_that_lacks_its_archive_is_ignored(script, service, app, clock):
    event = {"kind": "archive", "dedupe_key": "k", "session_id": script.session_id, "at": clock.now.isoformat()}
    assert service.post(service.signed(json.dumps([event]).encode())).status == 204
    with app.app_context(), read() as session:
        assert list(session.execute(select(WebhookEvent.status)).scalars()) == ["ignored"]


@pytest.mark.parametrize(("minutes", "ends"), [(1, 1), (-1, 0)])
def test_join_after_end_ends_meeting_again(script, service, app, clock, minutes, ends):
    service.api("PATCH", f"/session/{script.link}/end")
    script.deliver([Event("joined", clock.now + timedelta(minutes=minutes), "c", "ann")])
    assert len(end_jobs(app)) == 1 + ends


def test_joins_after_end_are_ended_together_a_second_later(script, service, app, clock):
    service.api("PATCH", f"/session/{script.link}/end")
    for who in ("ann", "bob"):
        script.deliver([Event("joined", clock.now + timedelta(minutes=1), who, who)])
    with app.app_context(), read() as session:
        waiting = select(Job.due_at, Job.created_on).where(Job.kind == "end_session", Job.state == "pending")
        [(due_at, created_on)] = session.execute(waiting)
    assert 0.9 < (due_at - created_on).total_seconds() < 1.1


@pytest.mark.parametrize("kind", ["left", "activity"])
def test_other_event_after_end_ends_nothing(script, service, app, clock, kind):
    service.api("PATCH", f"/session/{script.link}/end")
    script.deliver([Event(kind, clock.now + timedelta(minutes=1), "c", "ann")])
    assert len(end_jobs(app)) == 1


def end_jobs(app):
    with app.app_context(), read() as session:
        return list(session.execute(select(Job.id).where(Job.kind == "end_session")).scalars())


def test_page_of_empty_meeting_counts_zero(script, service):
    for query in ("page=1", "page=1&active=true", "page=2"):
        answer = service.api("GET", f"/session/{script.link}/attendees?{query}")
        assert answer.json == []
        assert json.loads(answer.headers["X-Pagination"])["total"] == 0


def test_page_beyond_the_last_counts_all(script, service, clock):
    script.deliver([Event("joined", clock.now, "c", "ann"), Event("joined", clock.now, "d", "bob")])
    answer = service.api("GET", f"/session/{script.link}/attendees?page=2")
    assert (answer.json, json.loads(answer.headers["X-Pagination"])["total"]) == ([], 2)


def test_session_of_another_meeting_is_bad_response(script, service):
    """The provider answers a second creation with the session that it gave to the first."""
    service.provider.session_id = script.session_id
    assert service.api("POST", "/session", {}).problem == (502, "provider_bad_response")


@pytest.mark.parametrize(
    ("account", "session_id"), [("", "s"), ("fake", ""), ("a b", "s"), ("fake", "s" * 256), ("é", "s"), (None, "s")]
)
def test_session_without_usable_ids_is_bad_response(service, account, session_id):
    service.provider.ensure_session = lambda request: SessionRef(account, session_id)
    assert service.api("POST", "/session", {}).problem == (502, "provider_bad_response")


def test_webhooks_are_kept_for_their_whole_age(script, app, clock):
    """A row is kept for 14 days and its body for 24 hours; a moment later it goes."""
    script.deliver([Event("joined", clock.now, "c", "ann")])
    for step, rows in (
        ({"hours": 24}, [True]),
        ({"seconds": 1}, [False]),
        ({"days": 13, "seconds": -1}, [False]),
        ({"seconds": 1}, []),
    ):
        clock.step(**step)
        with app.app_context():
            services(app).jobs.run_now("prune_inbox")
            with read() as session:
                bodies = session.execute(select(WebhookEvent.body)).scalars()
                assert [body is not None for body in bodies] == rows
