"""Whatever changes one meeting leaves the rows of every other meeting as they were.

Three meetings are alike in all that can be: the one that is changed, its sibling of the same tenant, and a stranger of
another tenant. Each has people, streams, webhooks, a running and a finished archive, a storage target and jobs. After a
change every row that was there before and does not belong to the changed meeting must be what it was.
"""

from dataclasses import dataclass

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select, update

from tests.support.clock import SteppedClock
from tests.support.service import Caller, credential, service_of
from videoconf.api.services import services
from videoconf.archives.models import Archive
from videoconf.db.functions import utc_in
from videoconf.db.transactions import read, write
from videoconf.db.types import db
from videoconf.jobs.models import Job
from videoconf.jobs.queue import enqueue
from videoconf.jobs.work import Lane
from videoconf.meetings.models import Meeting
from videoconf.providers import ArchiveStatus, Secret
from videoconf.tenancy import Caller as Acting
from videoconf_fake.memory import AREAS

TARGET = "/archives/storage-target"
ROSTER_ASKED = "roster_on"
"""Each run asks about all meetings, and notes when it did."""


@dataclass
class Held:
    """A meeting that is held, and what belongs to it."""

    api: Caller
    link: str
    id: int
    session_id: str
    connections: dict[str, str]
    running: str = ""
    finished: str = ""


class World:
    """A service with three meetings."""

    def __init__(self, app, headers, clock):
        self.app, self.clock = app, clock
        self.service = service_of(app, headers)
        self.tenants = {"default": self.service.api, "other": self.service.caller_with(tenant="other")}
        for tenant, api in self.tenants.items():
            answer = api("PUT", TARGET, {"name": "MEMORY", "area": tenant, "password": "secret"})
            assert answer.status == 200, answer
        self.mine, self.sibling, self.stranger = (
            self.hold(self.tenants[name]) for name in ("default",) * 2 + ("other",)
        )
        clock.step(minutes=1)

    def hold(self, api) -> Held:
        """Hold a meeting with two people, a stream of each, a finished archive that waits to be copied, and another."""
        link = api.create(extId="same")
        people = {}
        for attendee in ("ann", "bob"):
            people[attendee] = self.service.fake.join(credential(api.token(link, attendee=attendee, name="Same")))
            self.service.fake.publish(people[attendee])
        session_id = api.read(link)["sessionId"]
        held = Held(api, link, self.id_of(link), session_id, people)
        held.finished = self.record(held)
        for status in (ArchiveStatus.STOPPED, ArchiveStatus.AVAILABLE):
            self.service.fake.change_archive(held.finished, status)
        held.running = self.record(held)
        self.service.deliver()
        return held

    def record(self, held) -> str:
        answer = held.api("POST", f"/session/{held.link}/archives", {})
        assert answer.status == 201, answer
        return str(answer.json["id"])

    def id_of(self, link) -> int:
        with self.app.app_context(), read() as session:
            return session.execute(select(Meeting.id).where(Meeting.meeting_link == link)).scalar_one()

    def run_now(self, kind) -> None:
        with self.app.app_context():
            services(self.app).jobs.run_now(kind)

    def bystanders(self) -> dict[tuple, dict]:
        """Return every row that does not belong to the meeting that is changed, by table and key."""
        found = {}
        with self.app.app_context(), read() as session:
            for table in db.metadata.sorted_tables:
                for row in session.execute(select(table)).mappings():
                    values = {name: value for name, value in row.items() if name != ROSTER_ASKED}
                    if not self._is_mine(table.name, values):
                        found[(table.name, *(values[column.name] for column in table.primary_key))] = values
        return found

    def _is_mine(self, table, row) -> bool:
        archives = {self.mine.finished, self.mine.running}
        payload = row.get("payload") or {}
        return (
            (table == "meeting" and row["id"] == self.mine.id)
            or row.get("meeting_id") == self.mine.id
            or (table == "webhook_event" and row["session_id"] == self.mine.session_id)
            or (table == "storage_target" and row["tenant"] == "default")
            or row.get("key") is not None
            or payload.get("meeting_id") == self.mine.id
            or (table == "job" and payload.get("id") in {self.archive_id(archive) for archive in archives})
        )

    def archive_id(self, archive) -> int | None:
        with self.app.app_context(), read() as session:
            return session.execute(select(Archive.id).where(Archive.archive_id == archive)).scalar_one_or_none()


@pytest.fixture
def world(make_app, headers, monkeypatch):
    AREAS.objects.clear()
    monkeypatch.setenv("VIDEOCONF_FAKE_STORAGE_SCOPE", "none")
    clock = SteppedClock()
    key = Secret(Fernet.generate_key().decode())
    yield World(make_app(encryption_keys=(key,), development=True, clock=clock), headers, clock)
    AREAS.objects.clear()


def person_joins(world):
    world.service.join(world.mine.link, attendee="cleo")
    world.service.deliver()


def person_leaves(world):
    world.service.fake.leave(world.mine.connections["ann"])
    world.service.deliver()


def stream_ends(world):
    world.service.fake.unpublish(world.mine.connections["ann"])
    world.service.deliver()


def session_closes(world):
    world.service.fake.close_session(world.mine.session_id)
    world.service.deliver()


def meeting_is_edited(world):
    body = {"extId": "new", "extMetadata": {"a": 1}, "isScheduled": True, "scheduleTime": world.clock.text(days=1)}
    assert world.mine.api("PATCH", f"/session/{world.mine.link}", body).status in (200, 204)


def meeting_ends(world):
    assert world.mine.api("PATCH", f"/session/{world.mine.link}/end").status == 204
    world.service.deliver()


def meeting_is_deleted(world):
    assert world.mine.api("DELETE", f"/session/{world.mine.link}").status == 204


def person_is_disconnected(world):
    path = f"/session/{world.mine.link}/attendees/{world.mine.connections['ann']}"
    assert world.mine.api("DELETE", path).status == 204
    world.service.deliver()


def archive_is_stopped(world):
    assert world.mine.api("POST", f"/archives/{world.mine.running}/stop").status == 200
    world.service.deliver()


def archive_is_renamed_and_held(world):
    body = {"name": "new", "legalHold": True}
    assert world.mine.api("PATCH", f"/archives/{world.mine.finished}", body).status in (200, 204)


def archive_is_deleted(world):
    assert world.mine.api("DELETE", f"/archives/{world.mine.finished}").status == 200


def archive_is_deleted_by_provider(world):
    world.service.fake.change_archive(world.mine.finished, ArchiveStatus.DELETED)
    world.service.deliver()


def archive_is_copied(world):
    id = world.archive_id(world.mine.finished)
    with world.app.app_context():
        services(world.app).jobs.works["pull_archive"].handler({"id": id})


def archives_are_asked_about(world):
    with world.app.app_context(), write() as session:
        mine = Archive.archive_id == world.mine.running
        session.execute(update(Archive).where(mine).values(check_due_at=utc_in(-1)))
    world.run_now("reconcile_archives")


def target_is_replaced(world):
    body = {"name": "MEMORY", "area": "another", "password": "secret"}
    assert world.mine.api("PUT", TARGET, body).status == 200


def target_is_removed(world):
    assert world.mine.api("DELETE", TARGET).status == 204


def roster_lacks_a_person(world):
    world.service.fake.drop(world.mine.connections["ann"])  # and the webhook is lost
    for _ in range(2):
        world.clock.step(minutes=1)
        world.run_now("reconcile_rosters")


def roster_has_a_person_more(world):
    world.service.join(world.mine.link, attendee="cleo")  # and the webhook is lost
    world.clock.step(minutes=1)
    world.run_now("reconcile_rosters")


CHANGES = [
    person_joins,
    person_leaves,
    stream_ends,
    session_closes,
    meeting_is_edited,
    meeting_ends,
    meeting_is_deleted,
    person_is_disconnected,
    archive_is_stopped,
    archive_is_renamed_and_held,
    archive_is_deleted,
    archive_is_deleted_by_provider,
    archive_is_copied,
    archives_are_asked_about,
    target_is_replaced,
    target_is_removed,
    roster_lacks_a_person,
    roster_has_a_person_more,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_change_leaves_other_rows_as_they_were(world, change):
    before = world.bystanders()
    assert {row[0] for row in before} >= {"meeting", "attendee_connection", "attendee_stream", "archive", "job"}
    change(world)
    after = world.bystanders()
    assert {key: after.get(key) for key in before} == before


def test_erasing_person_leaves_others_of_that_name(world):
    """The tenant's meetings are all concerned; the other tenant's are not, and neither are other people."""
    before = world.bystanders()
    with world.app.app_context():
        assert services(world.app).persons.erase(Acting("operator", "default"), "ann")["connections"] == 2
    after = world.bystanders()
    of_ann = (world.sibling.id, world.sibling.connections["ann"])
    theirs = {key for key in before if key[0].startswith("attendee_") and key[1:3] == of_ann}
    gone = {key for key in before if after.get(key) != before[key] and key[0] != "webhook_event"}
    assert gone == theirs
    inbox = [row for key, row in after.items() if key[0] == "webhook_event"]
    assert {row["session_id"] for row in inbox if row["body"] is None} == {world.sibling.session_id}
    assert {row["session_id"] for row in inbox if row["body"] is not None} == {world.stranger.session_id}


def test_finishing_one_job_leaves_other_jobs(world):
    with world.app.app_context(), write() as session:
        for _ in range(3):
            enqueue(session, "end_session", {"meeting_id": 0})
    before = jobs_of(world)
    with world.app.app_context():
        jobs = services(world.app).jobs
        job = jobs.claim(lane=Lane.ORDINARY)
        assert {id for id, row in jobs_of(world).items() if row != before[id]} == {job.id}
        jobs.run(job)
    after = jobs_of(world)
    assert after[job.id]["state"] == "done"
    assert {id for id, row in after.items() if row != before.get(id)} == {job.id}


def test_reviving_one_dead_job_leaves_other_dead_jobs(world):
    with world.app.app_context():
        with write() as session:
            ids = [enqueue(session, "end_session", {"meeting_id": 0}) for _ in range(3)]
            session.execute(update(Job).where(Job.id.in_(ids)).values(state="dead"))
        before = jobs_of(world)
        assert services(world.app).jobs.retry(ids[1])
    assert {id for id, row in jobs_of(world).items() if row != before[id]} == {ids[1]}


def jobs_of(world) -> dict[int, dict]:
    with world.app.app_context(), read() as session:
        found = session.execute(select(Job.__table__).where(Job.key.is_(None))).mappings()
        return {row["id"]: dict(row) for row in found}
