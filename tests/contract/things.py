"""What the operations of the matrix act on: a meeting with all that belongs to it, an example of each request,
and wrong values of parameters."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete

from tests.support.service import Service
from videoconf.db.transactions import write
from videoconf.events.subscription_models import EventSubscription
from videoconf.jobs.models import Job, JobState
from videoconf.providers import ArchiveStatus


class Things:
    """One meeting with all that belongs to it, made as far as a path needs it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.link = service.api.create()
        self._subscription: str | None = None

    def connection(self) -> str:
        connection = self.service.join(self.link, attendee="ann")
        self.service.deliver()
        return connection

    def archive(self) -> str:
        """One that has been stopped and is complete."""
        connection = self.connection()
        self.service.fake.publish(connection)
        answer = self.service.api("POST", f"/session/{self.link}/archives")
        assert answer.status == 201, answer
        archive = str(answer.json["id"])
        assert self.service.api("POST", f"/archives/{archive}/stop").status == 200
        self.service.fake.change_archive(archive, ArchiveStatus.AVAILABLE)
        self.service.deliver()
        return archive

    def invitation(self, **wish: Any) -> dict[str, Any]:
        answer = self.service.api("POST", f"/session/{self.link}/invitations", wish)
        assert answer.status == 201, answer
        return dict(answer.json)

    def in_lobby(self) -> str:
        """A person who waits to be admitted."""
        code = self.invitation(admission="ask")["url"].partition("#")[2]
        assert self.service.stranger("POST", "/join", {"code": code}).status == 202
        return str(self.service.api("GET", f"/session/{self.link}/lobby").json[-1]["id"])

    def ban(self) -> str:
        answer = self.service.api("POST", f"/session/{self.link}/bans", {"attendee": "eve"})
        assert answer.status == 201, answer
        return str(answer.json["id"])

    def control(self) -> str:
        """What a moderator of the meeting moderates with."""
        code = self.invitation(role="moderator")["url"].partition("#")[2]
        return str(self.service.stranger("POST", "/join", {"code": code}).json["control"])

    def dead_job(self) -> str:
        """One that gave up, of a kind that no worker knows."""
        with self.service.app.app_context(), write() as session:
            job = Job(kind="told", payload={}, state=JobState.DEAD)
            session.add(job)
            session.flush()
            return str(job.id)

    def subscription(self) -> str:
        """One of the tenant's event subscriptions; the same for the delivery."""
        if self._subscription is None:
            self.without_subscriptions()
            answer = self.service.api("POST", "/event-subscriptions", {"url": "https://app.example.com/events"})
            assert answer.status == 201, answer
            self._subscription = str(answer.json["id"])
        return self._subscription

    def without_subscriptions(self) -> None:
        """Delete those of earlier tests: a tenant may have 20."""
        with self.service.app.app_context(), write() as session:
            session.execute(delete(EventSubscription))

    def delivery(self) -> str:
        """One that waits."""
        answer = self.service.api("POST", f"/event-subscriptions/{self.subscription()}/test")
        assert answer.status == 202, answer
        return str(answer.json["id"])


PATH_VALUES = {
    "meetingLinkId": lambda things: things.link,
    "connectionId": Things.connection,
    "archiveId": Things.archive,
    "jobId": Things.dead_job,
    "subscriptionId": Things.subscription,
    "deliveryId": Things.delivery,
    "invitationId": lambda things: things.invitation()["id"],
    "lobbyId": Things.in_lobby,
    "banId": Things.ban,
    "provider": lambda things: "fake",
    "channel": lambda things: "session",
}

TARGET = {"name": "MEMORY", "area": "bucket", "password": "any"}


def with_target(things: Things) -> None:
    assert things.service.api("PUT", "/archives/storage-target", TARGET).status == 200


@dataclass(frozen=True)
class Example:
    """A good request, and what has to be there beside the ids of its path."""

    body: Any = None
    prepare: Callable[[Things], Any] = lambda things: None
    query: str = ""


EXAMPLES = {
    "EventsController.createSubscription": Example(
        {"url": "https://app.example.com/events"}, prepare=Things.without_subscriptions
    ),
    "EventsController.replay": Example({"after": 0}),
    "VideoChatSessionController.getExplanation": Example(prepare=Things.connection, query="attendee=ann"),
    "VideoChatSessionController.getAttendanceAcross": Example(query="attendee=ann"),
    "VideoChatSessionController.getPeopleNow": Example(query="meetingLinks=pX3mJ5v0Qy2cZ1tB7kLw9A"),
    "DoorController.banAttendee": Example({"attendee": "eve"}),
    "DoorController.answerLobby": Example({"admit": True}),
    "OperationsController.exportPerson": Example(query="attendee=ann"),
    "OperationsController.erasePerson": Example(query="attendee=ann"),
    "VideoChatArchiveController.startArchive": Example(prepare=Things.connection),
    "VideoChatArchiveController.setUploadTarget": Example(TARGET),
    "VideoChatArchiveController.getUploadTarget": Example(prepare=with_target),
    "VideoChatArchiveController.deleteUploadTarget": Example(prepare=with_target),
}


def wrong_values(schema: dict[str, Any]) -> Iterator[str]:
    kinds = schema.get("type", "string")
    yield "%00"
    if "string" not in kinds or "format" in schema or "enum" in schema:
        yield from ("x", "%F0%9F%98%80", "%EF%BC%91", "%20")
    if "integer" in kinds or "number" in kinds:
        yield from ("1e400", "nan", "9" * 40, "-1")
        if "maximum" in schema:
            yield str(int(schema["maximum"]) + 1)
    if "integer" in kinds:
        yield from ("1.5", "1_0", "+1")
    if "maxLength" in schema:
        yield "x" * (schema["maxLength"] + 1)
