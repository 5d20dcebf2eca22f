"""A provider that says in its webhooks whatever a test wants it to say, in the words of the seam."""

import json
import sqlite3
import uuid
from datetime import datetime

from sqlalchemy import event

from tests.integration.attendance.model import Event
from videoconf.db.types import db
from videoconf.providers import ArchiveState, EventKind, ProviderEvent, Roster, SessionRef, StreamState
from videoconf_fake.provider import FakeProvider


class ScriptedProvider(FakeProvider):
    """A webhook of this provider is a JSON list of events; a session has the id that the test names."""

    session_id = "s-1"
    roster = Roster((), complete=True)

    def ensure_session(self, request):
        return SessionRef(self.account, self.session_id)

    def end_session(self, session, connections):
        pass

    def list_connections(self, session):
        if isinstance(self.roster, Exception):
            raise self.roster
        return self.roster

    def parse_webhook(self, request):
        return [_event(document) for document in json.loads(request.body)]


def _event(document):
    times = {name: datetime.fromisoformat(document.pop(name)) for name in ("at", "connected_at") if document.get(name)}
    stream = StreamState(**document["stream"]) if "stream" in document else None
    archive = ArchiveState(**document["archive"]) if "archive" in document else None
    kind = EventKind(document["kind"])
    return ProviderEvent(**document | times | {"kind": kind, "stream": stream, "archive": archive})


def body_of(events, session_id, keys):
    """Write events as one webhook."""
    return json.dumps([_written(event, session_id, key) for event, key in zip(events, keys, strict=True)]).encode()


def _written(event: Event, session_id, key):
    written = {
        "kind": event.kind,
        "dedupe_key": key,
        "session_id": session_id,
        "connection_id": event.connection,
        "attendee": event.attendee,
        "name": event.name,
        "reason": event.reason,
        "at": event.at.isoformat(),
        "connected_at": event.connected_at and event.connected_at.isoformat(),
    }
    return {name: value for name, value in written.items() if value is not None}


class Script:
    """One meeting's webhooks."""

    def __init__(self, service):
        self.service = service
        self.session_id = f"s-{uuid.uuid4().hex}"

    def create(self):
        self.service.provider.session_id = self.session_id
        return self.service.api.create()

    def deliver(self, events, keys=None):
        """Post events in one webhook; ``keys`` tell which are one event."""
        keys = [f"{self.session_id}:{hash(event)}" for event in events] if keys is None else keys
        delivery = self.service.signed(body_of(events, self.session_id, keys))
        answer = self.service.post(delivery)
        assert answer.status == 204, answer


def commit_without_flushes(app):
    """Let commits not wait for the disk: thousands of histories need no durability, and would mostly wait."""
    with app.app_context():
        event.listen(db.engine, "connect", _switch_flushes_off)


def _switch_flushes_off(connection, record):
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")
