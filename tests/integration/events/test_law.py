"""The law of the log: folding a meeting's events gives what GET answers, whenever no change waits.

Histories are generated: what happens, in which order the service hears of it, how often, and when it projects.
"""

import json
import random
from datetime import timedelta
from types import SimpleNamespace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from tests.integration.attendance.histories import OWNERS, History
from tests.integration.attendance.scripted import Script
from tests.support.folding import Folded, answered, believed
from tests.support.laws import few_and_many
from videoconf.api.services import services
from videoconf.attendance.roster import RosterReconciler
from videoconf.db.transactions import write
from videoconf.meetings.models import Meeting
from videoconf.providers import Roster, RosterConnection

CONNECTIONS = ("c1", "c2", "c3", "c4", "c7")
STATUSES = ("started", "paused", "stopped", "available", "uploaded", "failed", "expired", "deleted")
OTHERS = (
    lambda chance: ("roster", chance.sample(CONNECTIONS, chance.randint(0, 3))),
    lambda chance: ("archive", chance.choice(("a1", "a2")), chance.choice(STATUSES)),
    lambda chance: ("edit", chance.choice(("lesson", "visit", None))),
    lambda chance: ("token",),
    lambda chance: ("hours", chance.choice((1, 5, 25))),
    lambda chance: ("erase", chance.choice(("ann", "bob"))),
    lambda chance: ("end",),
    lambda chance: ("delete",),
    lambda chance: ("delete archive", chance.choice(("a1", "a2"))),
)


def random_steps(chance):
    """Choose what happens, each with whether the service projects after it: half of it are webhooks."""
    steps = []
    for _ in range(chance.randint(3, 12)):
        step = ("deliver", [chance.randrange(12) for _ in range(chance.randint(1, 6))])
        if steps and chance.random() < 0.5:
            step = chance.choice(OTHERS)(chance)
        steps.append((step, chance.random() < 0.5))
    return steps


def random_history(chance):
    """Choose what events say: joins, leaves and activity of few people, at few moments, so that ties are common."""
    told = []
    for _ in range(chance.randint(4, 12)):
        kind = chance.choices(("joined", "left", "activity", "session_closed"), (5, 3, 2, 1))[0]
        whose = chance.choice(("", "owner", "owner", "owner", "other"))
        before = chance.choice((None, None, 0, 5, 20))
        reason, name = chance.choice((None, "left")), chance.choice((None, "Ann", "Bob"))
        told.append(
            (kind, chance.choice(sorted(OWNERS)), chance.choice(range(0, 120, 10)), whose, before, reason, name)
        )
    return History(told, [], before_create=0, ended=False, asked_hours=0)


class Played(Script):
    """One meeting, to which a history's steps happen, and what a reader of the log believes of it."""

    def __init__(self, service, clock, history):
        super().__init__(service)
        self.clock = clock
        self.told = history.events(clock.now)
        self.folded = Folded()
        self.after = "now"
        self.after = self.read()
        self.link = self.create()

    def read(self):
        """Fold the events that are new; return where the log goes on."""
        while True:
            answer = self.service.api("GET", f"/events?after={self.after}")
            assert answer.status == 200, answer
            for event in answer.json["items"]:
                if event["meetingLink"] == self.link:
                    self.folded.take(event)
            if self.after == "now" or not answer.json["items"]:
                return answer.json["next"]
            self.after = answer.json["next"]

    link = None

    def happen(self, step):
        """Let one step happen. What the service refuses, such as the second end, happens too."""
        kind, *what = step
        api, path = self.service.api, f"/session/{self.link}"
        if kind == "deliver":
            numbers = [number % len(self.told) for number in what[0]]
            events = [self.told[number] for number in numbers]
            self.deliver(events, [f"{self.session_id}-{number}" for number in numbers])
        elif kind == "roster":
            for _ in range(2):  # one list alone proves no absence
                self.clock.now += timedelta(hours=2)
                self.roster(what[0])
        elif kind == "archive":
            self.archive(*what)
        elif kind == "edit":
            api("PATCH", path, {"extId": what[0]})
        elif kind == "token":
            api("POST", f"{path}/token", {})
        elif kind == "hours":
            self.clock.now += timedelta(hours=what[0])
            self.notice_silence()
        elif kind == "erase":
            assert api("DELETE", f"/persons?attendee={what[0]}").status == 200
        elif kind == "end":
            api("PATCH", f"{path}/end")
        elif kind == "delete":
            api("DELETE", path)
        elif kind == "delete archive":
            api("DELETE", f"/archives/{what[0]}-{self.session_id}")

    def notice_silence(self):
        with self.service.app.app_context():
            services(self.service.app).jobs.run_now("notice_silence")

    def roster(self, listed):
        connections = tuple(RosterConnection(one, "ann" if one == "c7" else None) for one in listed)
        app = self.service.app
        with app.app_context(), write() as session:
            row = session.execute(select(Meeting).where(Meeting.meeting_link == self.link)).scalar_one()
            ends = [time for time in (row.closed_at, row.end_time) if time is not None]
            meeting = SimpleNamespace(id=row.id, closed_at=max(ends, default=None))
            parts = services(app)
            reconciler = RosterReconciler(parts.providers, parts.settings, self.clock)
            reconciler.apply(session, meeting, Roster(connections, complete=True), self.clock.now)

    def archive(self, archive_id, status):
        document = {
            "kind": "archive",
            "dedupe_key": f"{self.session_id}:{archive_id}:{status}:{self.clock.now}",
            "session_id": self.session_id,
            "at": self.clock.now.isoformat(),
            "archive": {
                "archive_id": f"{archive_id}-{self.session_id}",
                "session_id": self.session_id,
                "provider_status": status,
                "status": status,
                "metadata": {"said": status},
            },
        }
        answer = self.service.post(self.service.signed(json.dumps([document]).encode()))
        assert answer.status == 204, answer

    def check(self):
        """Hold what the log says against what GET answers, with no change waiting."""
        self.notice_silence()
        self.service.project()
        self.after = self.read()
        assert believed(self.folded) == answered(self.service.api, self.link)


@few_and_many(30, 2000)
def test_folding_the_log_gives_the_answers_of_get(service, clock, count):
    begin = clock.now

    @settings(max_examples=count, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**32))
    def check(seed):
        clock.now = begin
        chance = random.Random(seed)
        history, steps = random_history(chance), random_steps(chance)
        played = Played(service, clock, history)
        for step, is_projected in steps:
            played.happen(step)
            if is_projected:
                played.check()
        played.check()
        assert reread(played) == believed(played.folded)

    check()


def reread(played):
    """Fold the meeting's events once more from the beginning: an erasure has changed those of before."""
    folded, after = Folded(), "0"
    while True:
        answer = played.service.api("GET", f"/events?after={after}&meetingLink={played.link}").json
        for event in answer["items"]:
            folded.take(event)
        if not answer["items"]:
            return believed(folded)
        after = answer["next"]


def test_erasure_keeps_whose_connection_the_erased_took(service, clock):
    """A late event gives one of Ann's connections to Bob, who is erased before the service projects that."""
    told = [
        ("joined", "c1", 10, "owner", None, None, "Ann"),
        ("joined", "c6", 20, "owner", None, None, "Ann"),
        ("joined", "c6", 0, "other", None, None, None),
    ]
    played = Played(service, clock, History(told, [], before_create=0, ended=False, asked_hours=0))
    played.happen(("deliver", [0, 1]))
    played.check()
    played.happen(("deliver", [2]))
    played.happen(("erase", "bob"))
    played.check()
    assert {one["attendee"] for one in service.api.attendees(played.link)} == {"ann", None}
    assert reread(played) == believed(played.folded)


def test_erasure_is_reported_of_a_person_known_by_name_alone(service, clock):
    """The log knows a connection by its name; then it becomes Bob's, who is erased before the service projects that."""
    told = [
        ("joined", "c5", 10, "", None, None, "Bob"),
        ("activity", "c5", 0, "other", None, None, None),
    ]
    played = Played(service, clock, History(told, [], before_create=0, ended=False, asked_hours=0))
    played.happen(("deliver", [0]))
    played.happen(("hours", 25))
    played.check()
    played.happen(("deliver", [1]))
    played.happen(("erase", "bob"))
    played.check()
    assert [one["name"] for one in service.api.attendees(played.link)] == [None]
    assert reread(played) == believed(played.folded)
