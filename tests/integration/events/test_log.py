"""The log: read from a position, waited for, kept for a time; and without a person who was erased."""

import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert, text

from tests.integration.attendance.model import Event
from tests.integration.attendance.scripted import Script, ScriptedProvider
from tests.support.service import ON_POSTGRESQL, ON_SQLITE, at_once, plugins_with, service_of
from videoconf.api.services import services
from videoconf.attendance.models import AttendeeConnection
from videoconf.db.transactions import read, write
from videoconf.providers import SessionCreation


@pytest.fixture
def make(service):
    """Make a meeting whose webhooks are scripted; return its script and its link."""

    def run():
        script = Script(service)
        return script, script.create()

    return run


def types(service, link):
    return [one["type"] for one in service.api("GET", f"/events?meetingLink={link}").json["items"]]


def joined(clock, connection, attendee=None, name=None):
    return Event("joined", clock.now, connection, attendee, name)


def test_log_has_the_life_of_a_meeting_in_order(service, make, clock):
    script, link = make()
    service.project()
    script.deliver([joined(clock, "c1", "ann", "Ann")])
    service.project()
    script.deliver([Event("left", clock.now, "c1", "ann")])
    service.project()
    for method, path in (("PATCH", f"/session/{link}/end"), ("DELETE", f"/session/{link}")):
        assert service.api(method, path).status == 204
        service.project()
    assert types(service, link) == [
        "meeting.created",
        "meeting.started",
        "attendee.joined",
        "attendee.left",
        "meeting.ended",
        "meeting.deleted",
    ]


class JustInTime(ScriptedProvider):
    """Makes a session when the first person comes."""

    @property
    def capabilities(self):
        return replace(super().capabilities, session_creation=SessionCreation.JUST_IN_TIME)


@ON_SQLITE
def test_log_has_meeting_whose_session_comes_later(make_app, headers, clock):
    service = service_of(make_app(clock=clock, plugins=plugins_with(JustInTime)), headers)
    links = [service.api.create(), service.api("POST", "/session", {}, Idempotency_Key="k").json]
    service.project()
    assert [types(service, link) for link in links] == [["meeting.created"]] * 2
    service.api.token(links[0])
    service.project()
    assert [types(service, link) for link in links] == [["meeting.created", "meeting.updated"], ["meeting.created"]]


def test_late_evidence_merges_two_attendees(service, make, clock):
    script, link = make()
    script.deliver([joined(clock, "c1"), joined(clock, "c2", "ann")])
    service.project()
    script.deliver([Event("activity", clock.now, "c1", "ann")])
    service.project()
    events = service.api("GET", f"/events?meetingLink={link}").json["items"]
    removed, updated = events[-2:]
    assert (removed["type"], [one["id"] for one in removed["data"]["connections"]]) == ("attendee.removed", ["c1"])
    assert (updated["type"], len(updated["data"]["connections"])) == ("attendee.updated", 2)


def test_log_has_presence_between_two_projections(service, make, clock):
    script, link = make()
    service.project()
    script.deliver([joined(clock, "c1", "ann"), Event("left", clock.now + timedelta(minutes=1), "c1", "ann")])
    service.project()
    assert types(service, link)[1:] == ["meeting.started", "attendee.joined", "attendee.left"]


def test_erased_person_leaves_the_log(service, make, clock):
    script, link = make()
    script.deliver([joined(clock, "c1", "ann-7", "Annabel")])
    service.project()
    assert service.api("DELETE", "/persons?attendee=ann-7").status == 200
    before = service.api("GET", f"/events?meetingLink={link}").body
    service.project()
    after = service.api("GET", f"/events?meetingLink={link}").body
    assert types(service, link)[-2:] == ["attendee.removed", "attendee.updated"]
    with service.app.app_context(), read() as session:
        stored = "".join(str(row) for row in session.execute(text("SELECT data FROM event_part")))
    for name in ("ann-7", "Annabel"):
        assert name not in before.decode() + after.decode() + stored


def test_reader_continues_from_its_position(service, make):
    start = service.api("GET", "/events?after=now").json
    assert start["items"] == []
    seen, after = [], start["next"]
    links = [make()[1] for _ in range(5)]
    service.project()
    while items := (answer := service.api("GET", f"/events?after={after}&limit=2").json)["items"]:
        seen += [one["meetingLink"] for one in items]
        after = answer["next"]
    assert seen == links
    assert service.api("GET", f"/events?after={after}").json == {"items": [], "next": after}
    assert service.api("GET", "/events?type=meeting.ended").json["items"] == []


WRONG = ("after=x", "after=-1", "after=999999999999", f"after={'9' * 5000}", "wait=26", "limit=0", "type=ping")


@pytest.mark.parametrize("query", WRONG, ids=lambda query: query[:20])
def test_wrong_query_is_refused(service, query):
    assert service.api("GET", f"/events?{query}").wrong == [query.partition("=")[0]]


def test_pruned_position_answers_410(service, make):
    for _ in range(3):
        make()
    service.project()
    first = service.api("GET", "/events").json["items"][0]["position"]
    with service.app.app_context():
        with write() as session:
            session.execute(
                text("UPDATE event SET at = '2001-01-01 00:00:00+00:00' WHERE position <= :p"), {"p": first}
            )
        services(service.app).jobs.run_now("prune_events")
    answer = service.api("GET", "/events?after=0")
    assert (*answer.problem, answer.json["oldestPosition"]) == (410, "cursor_expired", first)
    assert len(service.api("GET", "/events").json["items"]) == 2
    assert service.api("GET", f"/events?after={first}").status == 200


def test_wait_ends_with_an_event(service, make):
    service.project()
    after = service.api("GET", "/events?after=now").json["next"]
    answers = []
    waiting = threading.Thread(
        target=lambda: answers.append((service.api("GET", f"/events?after={after}&wait=20"), time.monotonic()))
    )
    waiting.start()
    time.sleep(0.3)
    assert answers == []
    _, link = make()
    service.project()
    committed = time.monotonic()
    waiting.join(10)
    [(answer, ended)] = answers
    assert [one["meetingLink"] for one in answer.json["items"]] == [link]
    assert ended - committed < 2


def test_wait_ends_without_an_event(service):
    began = time.monotonic()
    assert service.api("GET", "/events?after=now&wait=1").json["items"] == []
    assert 0.9 < time.monotonic() - began < 10


@ON_SQLITE
def test_waiters_are_bounded(service):
    def wait(api):
        return api("GET", "/events?after=now&wait=2")

    answers = at_once([lambda: wait(service.api)] * 4)
    refused = [one for one in answers if one.status == 503]
    assert len(refused) == 2
    assert refused[0].problem == (503, "too_many_waiters")
    assert int(refused[0].headers["Retry-After"]) <= 2
    others = [service.caller_with(tenant=f"t-{number}") for number in range(10)]
    answers = at_once([lambda api=api: wait(api) for api in others])
    assert sorted(one.status for one in answers) == [200] * 8 + [503] * 2


@ON_POSTGRESQL
def test_join_of_3000_people_reads_the_part_that_changed(service, make, clock):
    script, link = make()
    with service.app.app_context(), write() as session:
        meeting = session.execute(
            text("SELECT id, tenant, created_on FROM meeting WHERE meeting_link = :link"), {"link": link}
        ).one()
        rows = [
            {
                "meeting_id": meeting.id,
                "connection_id": f"p{number}",
                "attendee": f"person-{number}",
                "tenant": meeting.tenant,
                "meeting_created_on": meeting.created_on,
                "first_join": clock.now,
                "last_join": clock.now,
                "last_evidence": clock.now,
            }
            for number in range(3_000)
        ]
        session.execute(insert(AttendeeConnection.__table__), rows)
        session.execute(text("INSERT INTO change (meeting_id, part) VALUES (:id, 'all')"), {"id": meeting.id})
    service.project()
    with service.app.app_context(), write() as session:
        assert session.execute(text("SELECT count(*) FROM event")).scalar_one() == 3_002
        session.execute(text("ANALYZE"))
    script.deliver([joined(clock, "c1", "ann")])
    read_before = tuples_read(service)
    service.project()
    assert tuples_read(service) - read_before < 200
    assert types(service, link)[:1] == ["meeting.created"]


def tuples_read(service):
    """Count the rows of connections and of what was reported that statements have read so far."""
    deadline = time.monotonic() + 10
    found = None
    with service.app.app_context():
        while time.monotonic() < deadline:
            with read() as session:
                session.execute(text("SELECT pg_stat_force_next_flush()"))
            with read() as session:
                latest = session.execute(
                    text(
                        "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables"
                        " WHERE relname IN ('attendee_connection', 'event_part')"
                    )
                ).scalar_one()
            if latest == found:
                return latest
            found = latest
            time.sleep(0.3)
    raise AssertionError("the statistics do not settle")
