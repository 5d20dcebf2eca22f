"""Histories of a room, with LiveKit's own events: what the API says against what happened, and against the model.

People come in several tabs, use one token twice, fail to connect, and leave within a second; the server restarts. A
fifth of the webhooks is lost; the others come late, twice and in any order. Before any roster the API must answer as
the reference model does for the events that came. After two rosters it must show exactly those who are there.
"""

import json
import random
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.attendance import model
from tests.support.laws import few_and_many
from tests.support.service import ON_SQLITE

HISTORIES = 25
HISTORIES_PER_SERVICE = 100
"""LiveKit's time goes on with each history; a day ahead of the database's clock, no meeting would seem to run."""
PEOPLE = ("ann@example.org", "bob", "cid#1", None)
LOST = 0.2
KINDS = {"participant_joined": "joined", "participant_left": "left", "room_finished": "session_closed"}


@pytest.fixture
def service(make_service, make_livekit_standin):
    standin = make_livekit_standin()
    return make_service(standin)


class History:
    """One meeting in which things happen by chance, and what is known of it."""

    def __init__(self, service, seed):
        self.service, self.standin, self.chance = service, service.standin, random.Random(seed)
        self.begin = self.now()
        self.link = service.api.create()
        self.room = service.api.read(self.link)["sessionId"]
        self.first_webhook = len(self.standin.webhooks.sent)
        self.tokens = []
        self.receipts = {}

    def now(self):
        return datetime.fromtimestamp(self.standin.clock.now(), UTC)

    def there(self):
        room = self.standin.world.rooms.get(self.room)
        return {} if room is None else {one.sid: one for one in room.participants.values()}

    def happen(self):
        """Let one thing happen."""
        chance, there = self.chance, list(self.there())
        what = chance.choice(
            ("join", "join", "join", "again", "abort", "leave", "leave", "publish", "restart", "agent")
        )
        if what == "join" or (what in ("again", "abort") and not self.tokens):
            self.tokens.append(self.service.api.token(self.link, attendee=chance.choice(PEOPLE))["token"])
            self.standin.join(self.tokens[-1])
        elif what == "again":
            self.standin.join(chance.choice(self.tokens))
        elif what == "abort":
            token = self.service.api.token(self.link, attendee="carol")["token"]
            self.standin.leave(self.standin.join(token, aborted=True).sid, "JOIN_FAILURE")
        elif what == "leave" and there:
            self.standin.leave(chance.choice(there), chance.choice(("CLIENT_INITIATED", "CONNECTION_TIMEOUT")))
        elif what == "publish" and there:
            sid = chance.choice(there)
            track = self.standin.publish(sid)
            if chance.random() < 0.5:
                self.standin.world.unpublish(sid, track)
        elif what == "restart" and chance.random() < 0.2:
            self.standin.world.rooms.pop(self.room, None)  # no webhook tells of it
        elif what == "agent" and self.room in self.standin.world.rooms:
            agent = f"agent-AJ_{chance.randrange(10**6)}"
            self.standin.publish(self.standin.world.enter_by_itself(self.room, "AGENT", agent).sid)
        self.standin.advance(chance.choice((0.0, 0.1, 0.4, 0.9, 3.0, 15.0, 50.0)))

    def deliver(self):
        """Let the webhooks arrive, and keep those that did for the model."""
        webhooks = self.standin.webhooks.sent[self.first_webhook :]
        self.first_webhook = len(self.standin.webhooks.sent)
        arrived = [one for one in webhooks if self.chance.random() >= LOST]
        arrived += self.chance.sample(arrived, len(arrived) // 3)
        self.chance.shuffle(arrived)
        for webhook in arrived:
            status = self.service.post(
                "/webhooks/livekit/session", webhook.body, self.standin.webhooks.headers(webhook)
            )
            assert status == 200
            event = event_of(json.loads(webhook.body))
            if event is not None:
                self.receipts.setdefault(json.loads(webhook.body)["id"], model.Receipt(event, self.now()))


def event_of(said):
    """Read a webhook for the model, apart from the plugin: whole seconds, people of ours alone."""
    kind = KINDS.get(said["event"], "activity" if said["event"].startswith("track_") else None)
    at = datetime.fromtimestamp(int(said["createdAt"]), UTC)
    if kind == "session_closed":
        return model.Event(kind, at - timedelta(seconds=1))
    who = said.get("participant", {})
    attendee, separator, _ = who.get("identity", "").rpartition("#")
    if kind is None or not separator or who.get("kind", "STANDARD") != "STANDARD":
        return None
    since = datetime.fromtimestamp(int(who["joinedAt"]), UTC) if "joinedAt" in who else None
    reason = who.get("disconnectReason", "").lower() or None if kind == "left" else None
    return model.Event(kind, at, who["sid"], attendee or None, who.get("name"), since, reason)


@ON_SQLITE
@few_and_many(HISTORIES, 2000)
def test_api_reports_who_was_there(make_service, make_livekit_standin, count):
    for seed in range(count):
        if seed % HISTORIES_PER_SERVICE == 0:
            service = make_service(make_livekit_standin())
        history = History(service, seed)
        for _ in range(history.chance.randint(1, 4)):
            for _ in range(history.chance.randint(1, 6)):
                history.happen()
            history.deliver()
        wanted = model.attendees(history.receipts.values(), history.begin, None, history.now())
        told = service.api.attendees(history.link)
        assert told == model.as_list(wanted, history.room, history.now()), f"seed {seed}, before rosters"

        for _ in range(2):
            service.poll()
            history.standin.clock.advance(60)
        shown = {
            connection["id"]: person["attendee"]
            for person in service.api.attendees(history.link)
            for connection in person["connections"]
            if connection["left"] is None
        }
        people = {sid: one.identity for sid, one in history.there().items() if "#" in one.identity}
        truth = {sid: identity.rpartition("#")[0] or None for sid, identity in people.items()}
        assert shown == truth, f"seed {seed}, after two rosters"
        assert service.api("PATCH", f"/session/{history.link}/end").status == 204


@ON_SQLITE
def test_histories_cover_the_hard_cases(service):
    """Histories without the hard cases would prove nothing."""
    seen = set()
    for seed in range(HISTORIES):
        history = History(service, seed)
        for _ in range(12):
            history.happen()
        sent = [json.loads(one.body) for one in history.standin.webhooks.sent[history.first_webhook :]]
        seen |= {said["event"] for said in sent}
        seen |= {said["participant"].get("disconnectReason") for said in sent if "participant" in said}
        joined = {said["participant"]["sid"]: said for said in sent if said["event"] == "participant_joined"}
        for said in sent:
            if said["event"] == "participant_left":
                begin = joined.get(said["participant"]["sid"], {}).get("createdAt")
                seen |= {"within a second"} if begin == said["createdAt"] else set()
        seen |= {"agent"} if any(said["participant"].get("kind") == "AGENT" for said in joined.values()) else set()
    assert seen >= {
        "participant_joined",
        "participant_left",
        "participant_connection_aborted",
        "track_published",
        "track_unpublished",
        "room_finished",
        "DUPLICATE_IDENTITY",
        "JOIN_FAILURE",
        "CONNECTION_TIMEOUT",
        "within a second",
        "agent",
    }
