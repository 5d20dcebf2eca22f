"""A history for the console to show: a school's lessons of some days, and a clinic's as another tenant.

It is played through the API and the fake provider on a clock that the story sets, the database's included, so every
time is as it would be after such days. The heart of it is a lesson with eleven people, one of whom dropped twice.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import jwt
from sqlalchemy import event, select

from tests.support.dev_server import DevServer, dev_server_in
from tests.support.service import Caller, Service, credential, service_of
from tests.support.settings import ALL_PERMISSIONS, FAKE_SETTINGS, JWT_SECRET
from videoconf.api.services import services
from videoconf.app import create_app
from videoconf.db.transactions import write
from videoconf.db.types import db
from videoconf.events.models import Event
from videoconf.events.subscription_models import EventDelivery, EventSubscription
from videoconf.jobs.models import Job, JobState
from videoconf.providers import ArchiveStatus
from videoconf.settings import Secret, Settings

CLINIC = "harbour-clinic"
LESSON = "Mathematics 7b: fractions"
PUPILS = {
    "p-grace": "Grace Okafor",
    "p-linus": "Linus Virtanen",
    "p-tomas": "Tomás Herrera",
    "p-mei": "Mei Tanaka",
    "p-ibrahim": "Ibrahim Haddad",
    "p-sofia": "Sofia Rossi",
    "p-noah": "Noah Fischer",
    "p-amelie": "Amélie Laurent",
    "p-priya": "Priya Nair",
    "p-jonas": "Jonas Berg",
}
TEACHER = ("t-ada", "Ada Lindqvist")


def bearer(
    permissions: Any = ALL_PERMISSIONS, *, tenant: str | None = None, subject: str = "head.office", **claims: Any
) -> str:
    """Make a bearer token for the server of a story."""
    now = int(time.time())
    made = {"sub": subject, "iat": now, "exp": now + 8 * 3600, "iss": "videoconf", "aud": "videoconf"}
    made |= {"permissions": list(permissions), **claims}
    if tenant is not None:
        made["tenant"] = tenant
    return jwt.encode(made, JWT_SECRET, "HS256")


class StoryClock:
    """The time of the story, for the application and, as ``strftime(…, 'now')``, for SQLite."""

    def __init__(self) -> None:
        self.now = self.start = datetime.now(UTC).replace(microsecond=0)
        self._lock = threading.Lock()
        self._sqlite = sqlite3.connect(":memory:", check_same_thread=False)

    def __call__(self) -> datetime:
        return self.now

    def ago(self, **amount: float) -> datetime:
        return self.start - timedelta(**amount)

    def strftime(self, form: str, *rest: str) -> Any:
        moment, *modifiers = rest or ("now",)
        given = self.now.strftime("%Y-%m-%d %H:%M:%S") if moment == "now" else moment
        marks = ", ".join("?" * (len(modifiers) + 2))
        with self._lock:
            return self._sqlite.execute(f"SELECT strftime({marks})", (form, given, *modifiers)).fetchone()[0]


class Story:
    """Plays scenes: each is a meeting with a script of what people do in which minute."""

    def __init__(self, service: Service, clock: StoryClock) -> None:
        self.service = service
        self.clock = clock
        self.here: dict[tuple[str, str], str] = {}

    def caller(self, tenant: str | None = None, subject: str = "school-portal") -> Caller:
        return self.service.caller_with(tenant=tenant, subject=subject)

    def meeting(self, start: datetime, title: str, ext_id: str, *, tenant: str | None = None, **options: Any) -> str:
        self.clock.now = start - timedelta(minutes=4)
        return self.caller(tenant).create(extId=ext_id, extMetadata={"title": title}, **options)

    def join(self, link: str, attendee: str, name: str, tenant: str | None = None) -> None:
        token = self.caller(tenant).token(link, attendee=attendee, name=name)
        connection = self.here[link, attendee] = self.service.fake.join(credential(token))
        self.service.fake.publish(connection)

    def publish(self, link: str, attendee: str, stream: str = "camera") -> None:
        self.service.fake.publish(self.here[link, attendee], stream)

    def unpublish(self, link: str, attendee: str, stream: str = "camera") -> None:
        self.service.fake.unpublish(self.here[link, attendee], stream)

    def leave(self, link: str, attendee: str) -> None:
        self.service.fake.leave(self.here.pop((link, attendee)))

    def drop(self, link: str, attendee: str) -> None:
        self.service.fake.drop(self.here.pop((link, attendee)))

    def lose_webhooks(self) -> None:
        """Let what waits be lost on its way."""
        self.service.fake.deliver(lambda delivery: 204)

    def play(self, start: datetime, *script: tuple[float, Callable[[], Any]]) -> None:
        """Do what the script says, each act in its minute, and deliver its webhooks."""
        for minute, act in sorted(script, key=lambda entry: entry[0]):
            self.clock.now = start + timedelta(minutes=minute)
            act()
            self.service.deliver()
            self.service.project()

    def record(self, link: str, name: str, tenant: str | None = None) -> str:
        answer = self.caller(tenant)("POST", f"/session/{link}/archives", {"name": name})
        assert answer.status == 201, answer
        return str(answer.json["id"])

    def end(self, link: str, tenant: str | None = None, subject: str = "school-portal") -> None:
        assert self.caller(tenant, subject)("PATCH", f"/session/{link}/end").status == 204

    def run(self, job: str) -> None:
        with self.service.app.app_context():
            services(self.service.app).jobs.run_now(job)


def lesson(story: Story) -> str:
    """Play the lesson: eleven people, one late, two who leave early, one whose connection dropped twice."""
    start = story.clock.ago(minutes=71)
    link = story.meeting(start, LESSON, "lesson-7b-0412")
    names = PUPILS
    joins = {
        "p-grace": -1.5,
        "p-linus": 0.4,
        "p-tomas": 1.1,
        "p-mei": 1.3,
        "p-ibrahim": 1.9,
        "p-sofia": 2.2,
        "p-noah": 2.4,
    }
    joins |= {"p-amelie": 3.1, "p-priya": 3.6, "p-jonas": 17.5}
    archive: dict[str, str] = {}

    def lost_leave() -> None:
        story.drop(link, "p-tomas")
        story.lose_webhooks()

    def recorded() -> None:
        archive["id"] = story.record(link, "Fractions, part 1")

    def finished() -> None:
        story.service.api("POST", f"/archives/{archive['id']}/stop")
        story.service.fake.change_archive(archive["id"], ArchiveStatus.AVAILABLE)

    story.play(
        start,
        (-2.5, lambda: story.join(link, *TEACHER)),
        *[(minute, lambda one=one: story.join(link, one, names[one])) for one, minute in joins.items()],
        (5, recorded),
        (6.5, lambda: story.publish(link, "t-ada", "screen")),
        (26, lambda: story.unpublish(link, "t-ada", "screen")),
        (20.5, lambda: story.unpublish(link, "p-grace")),
        (33, lambda: story.publish(link, "p-grace")),
        (14.2, lambda: story.drop(link, "p-tomas")),
        (16.8, lambda: story.join(link, "p-tomas", names["p-tomas"])),
        (31.4, lost_leave),
        (36.3, lambda: story.run("reconcile_rosters")),
        (37.5, lambda: story.run("reconcile_rosters")),
        (40.1, lambda: story.join(link, "p-tomas", names["p-tomas"])),
        (28.3, lambda: story.leave(link, "p-noah")),
        (44.7, lambda: story.leave(link, "p-mei")),
        (52, finished),
        (57.2, lambda: story.leave(link, "p-grace")),
        (57.6, lambda: story.leave(link, "p-sofia")),
        (58.4, lambda: story.end(link, subject="ada.lindqvist")),
    )
    story.service.api("PATCH", f"/archives/{archive['id']}", {"legalHold": True})
    return link


def open_meetings(story: Story) -> str:
    """Play what is going on at this moment; return the larger meeting's link."""
    start = story.clock.ago(minutes=19)
    physics = story.meeting(start, "Physics 9a: pendulums", "lesson-9a-0117")
    people = ["p-9-emil", "p-9-zara", "p-9-luca", "p-9-hana", "p-9-omar"]
    names = ["Emil Novak", "Zara Khan", "Luca Moretti", "Hana Svoboda", "Omar Farouk"]
    story.play(
        start,
        (-1, lambda: story.join(physics, "t-rosalind", "Rosalind Meyer")),
        *[
            (place * 0.7, lambda one=one, name=name: story.join(physics, one, name))
            for place, (one, name) in enumerate(zip(people, names, strict=True))
        ],
        (4, lambda: story.record(physics, "Pendulums")),
        (11, lambda: story.drop(physics, "p-9-luca")),
        (12.5, lambda: story.join(physics, "p-9-luca", "Luca Moretti")),
    )
    start = story.clock.ago(minutes=6)
    parents = story.meeting(start, "Parents' evening: Novak", "parents-2231")
    story.play(
        start,
        (0, lambda: story.join(parents, *TEACHER)),
        (2, lambda: story.join(parents, "g-novak", "Irena Novak")),
    )
    return physics


def days_before(story: Story) -> None:
    """Play the days before, with recordings that arrived, are held, and failed."""
    plans = [
        (74, 47, "Chemistry 10c: acids", "lesson-10c-0309", 8, ArchiveStatus.AVAILABLE),
        (52, 33, "Staff meeting", "staff-0411", 12, None),
        (50, 55, "French 8a: subjunctive", "lesson-8a-0410", 9, ArchiveStatus.FAILED),
        (27, 44, "Physics 9a: forces", "lesson-9a-0116", 6, ArchiveStatus.AVAILABLE),
        (25, 21, "Parents' evening: Haddad", "parents-2230", 2, None),
        (4, 40, "Biology 8b: cells", "lesson-8b-0220", 7, ArchiveStatus.AVAILABLE),
    ]
    for hours, minutes, title, ext_id, people, recording in plans:
        start = story.clock.ago(hours=hours)
        link = story.meeting(start, title, ext_id)
        archive: dict[str, str] = {}

        def finish(archive: dict[str, str] = archive, recording: Any = recording) -> None:
            story.service.api("POST", f"/archives/{archive['id']}/stop")
            story.service.fake.change_archive(
                archive["id"], recording, "encoder" if recording is ArchiveStatus.FAILED else None
            )

        def begin(archive: dict[str, str] = archive, link: str = link, title: str = title) -> None:
            archive["id"] = story.record(link, title.partition(":")[2].strip().capitalize())

        pupils = [TEACHER, *PUPILS.items()][:people]
        joins = [(place * 0.5, lambda link=link, one=one: story.join(link, *one)) for place, one in enumerate(pupils)]
        records = [] if recording is None else [(6, begin), (minutes - 3, finish)]
        story.play(start, *joins, *records, (minutes, lambda link=link: story.end(link)))


def plans(story: Story) -> str:
    """Schedule what is to come; return a link."""
    story.clock.now = story.clock.ago(minutes=3)
    for hours, title, ext_id in ((2, "Staff meeting", "staff-0412"), (22, "Chemistry 10c: bases", "lesson-10c-0310")):
        at = (story.clock.start.replace(minute=30, second=0) + timedelta(hours=hours)).isoformat()
        link = story.caller().create(extId=ext_id, extMetadata={"title": title}, isScheduled=True, scheduleTime=at)
    return link


def clinic(story: Story) -> str:
    """Play a meeting of another tenant."""
    start = story.clock.ago(hours=3)
    link = story.meeting(start, "Consultation 88", "consult-88", tenant=CLINIC)
    story.play(
        start,
        (0, lambda: story.join(link, "dr-chen", "Dr. Chen", CLINIC)),
        (1, lambda: story.join(link, "patient-5", "Robin Doe", CLINIC)),
        (18, lambda: story.end(link, CLINIC)),
    )
    return link


def mishaps(story: Story) -> None:
    """Let webhooks be refused, set aside and without a meeting, and a job give up."""
    service, clock = story.service, story.clock
    clock.now = clock.ago(minutes=40)
    forged = service.made_up("connection.joined", connection="c_unknown")
    assert service.post(forged, webhook_signature="v1,bm90IHRoZSBzaWduYXR1cmU=").status == 401
    at = clock.now.isoformat().replace("+00:00", "Z")
    service.post(
        service.made_up("connection.joined", "fs_of_another_service", connection="c_1", attendee=None, name=None, at=at)
    )
    service.post(service.signed(b'{"id": "evt_broken", "type":', "evt_broken"))
    with service.app.app_context(), write() as session:
        for kind, error, attempts in (
            ("end_session", "provider_timeout: The provider did not answer within 10 s.", 12),
            ("pull_archive", "storage_unavailable: The bucket refused the object.", 9),
        ):
            session.add(
                Job(
                    kind=kind,
                    payload={"meeting_id": 4},
                    state=JobState.DEAD,
                    attempts=attempts,
                    last_error=error,
                    finished_on=clock.now,
                )
            )


def deliveries(story: Story, link: str) -> str:
    """Let a receiver be sent the lesson's events, some at the second attempt and one never; return its subscription."""
    started = story.clock.ago(minutes=14)
    answers = {
        "well": [(204, None, None)],
        "late": [(503, "Service Unavailable: deploying", None), (204, None, None)],
        "never": [(None, None, "No answer within 10 s.")] * 2
        + [(500, '{"error": "column lesson_id does not exist"}', None)] * 7,
    }
    wanted = [
        ("meeting.ended", "well"),
        ("attendee.left", "late"),
        ("attendee.left", "never"),
        ("archive.available", "well"),
    ]
    with story.service.app.app_context(), write() as session:
        happened = select(Event.type, Event.id, Event.position).where(Event.meeting_link == link).order_by("position")
        events: dict[str, list[tuple[str, int]]] = {}
        for type, id, position in session.execute(happened).all():
            events.setdefault(type, []).append((id, position))
        subscription = EventSubscription(
            public_id="Kq3nVb8sYt0L",
            tenant="default",
            url="https://crm.northfield.example/hooks/video",
            types=["meeting.ended", "attendee.left", "archive.available"],
            meeting_link=link,
            description="Attendance into the school's register",
            secret=b"",
            position=10**6,
            newest=0,
            created_by="school-portal",
            modified_by="school-portal",
        )
        session.add(subscription)
        session.flush()
        for place, (type, outcome) in enumerate([*wanted, ("attendee.left", "well"), ("attendee.left", "well")]):
            at = started + timedelta(seconds=20 * place)
            attempts = [
                {
                    "at": (at + timedelta(minutes=5 * number)).isoformat().replace("+00:00", "Z"),
                    "status": status,
                    "durationMs": 10_000 if status is None else 38 + 7 * place,
                    "body": body,
                    "error": error,
                }
                for number, (status, body, error) in enumerate(answers[outcome])
            ]
            event_id, position = events[type].pop()
            session.add(
                EventDelivery(
                    subscription_id=subscription.id,
                    event_id=event_id,
                    type=type,
                    position=position,
                    status="failed" if outcome == "never" else "succeeded",
                    attempt_count=len(attempts),
                    attempts=attempts,
                    next_attempt_at=None,
                    created_on=at,
                )
            )
        return str(subscription.public_id)


@contextmanager
def story_app(folder: Path, clock: StoryClock) -> Iterator[Any]:
    """Give an application on the database that the server in this folder will have, at the story's time."""
    instance = folder / "instance"
    instance.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{instance / 'videoconf.sqlite'}"
    variables = {**FAKE_SETTINGS, "VIDEOCONF_FAKE_STATE": str(instance / "fake.sqlite")}
    from tests.support.databases import migrate

    migrate(url)
    with patch.dict(os.environ, variables):
        chosen = Settings(
            providers=("fake",),
            database_url=Secret(url),
            jwt_secrets=(Secret(JWT_SECRET),),
            embedded_workers=0,
            rate_limit_address="",
            log_level="ERROR",
        )
        app = create_app(chosen, clock=clock, serving=True)
    with app.app_context():
        event.listen(db.engine, "connect", lambda connection, record: prepare(connection, clock))
        db.engine.dispose()
    yield app
    services(app).refusals.close()
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    services(app).closing.close()


def prepare(connection: Any, clock: StoryClock) -> None:
    connection.create_function("strftime", -1, clock.strftime)
    connection.execute("PRAGMA synchronous=OFF")


def story_headers(
    permissions: Any = ALL_PERMISSIONS, *, tenant: str | None = None, subject: str = "school-portal", **claims: Any
) -> dict[str, str]:
    return {"Authorization": f"Bearer {bearer(permissions, tenant=tenant, subject=subject, **claims)}"}


def tell(folder: Path) -> dict[str, str]:
    """Write the story into a folder, where :func:`served` serves it; return links of meetings by name."""
    clock = StoryClock()
    with story_app(folder, clock) as app:
        story = Story(service_of(app, story_headers), clock)
        days_before(story)
        links = {"clinic": clinic(story), "lesson": lesson(story)}
        mishaps(story)
        links["subscription"] = deliveries(story, links["lesson"])
        links |= {"physics": open_meetings(story), "planned": plans(story)}
        clock.now = clock.start
        story.service.project()
        return links


@contextmanager
def served(folder: Path, **environment: str) -> Iterator[DevServer]:
    """Serve a folder as ``videoconf dev`` does."""
    variables = {"VIDEOCONF_JWT_SECRETS": JWT_SECRET, **FAKE_SETTINGS, **environment}
    with dev_server_in(folder, **variables) as server:
        yield server
