"""The load: clients of two tenants that call at random, lose patience at times, and write down what happened."""

from __future__ import annotations

import hashlib
import http.client
import itertools
import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jwt

from bench.chaos.history import BROKEN, GAVE_UP, Call, Kind
from bench.chaos.vendor import ChaosVendor
from bench.vendor import API_KEY

CLIENTS = 8
TENANTS = ("acme", "globex")
PERMISSIONS = (
    "CreateMeetingSession",
    "GetMeetings",
    "EditMeeting",
    "StopMeeting",
    "GenerateMeetingToken",
    "GetMeetingAttendees",
    "GetMeetingArchives",
    "StartMeetingArchive",
    "StopMeetingArchive",
    "DeleteMeetingArchive",
    "SetMeetingUploadTarget",
    "GetEvents",
    "ManageEventSubscriptions",
)
NEW = {"provider": "vonage"}
"""A meeting without a provider of its own would go to the moody one while the vendor is cut off."""
PATIENCE_SECONDS = 30.0
"""How long a client waits for an answer; some that create give up much sooner, and try again."""
RECENT = 20
"""Calls are about the latest meetings of a tenant, so that many are about the same."""
WEIGHTS = {
    Kind.JOINED: 30,
    Kind.LEFT: 10,
    Kind.TOKEN: 15,
    Kind.ATTENDEES: 12,
    Kind.CREATE: 10,
    Kind.EDIT: 6,
    Kind.READ: 6,
    Kind.END: 2,
    Kind.ARCHIVE_START: 3,
    Kind.ARCHIVE_STOP: 3,
    Kind.ARCHIVE_DELETE: 3,
    Kind.ARCHIVE_READ: 2,
    Kind.ARCHIVES: 3,
    Kind.LIST: 1,
    Kind.MOODY: 6,
    Kind.FOREIGN: 5,
}


@dataclass(frozen=True)
class Meeting:
    tenant: str
    link: str
    session: str


@dataclass(frozen=True)
class Secrets:
    """What bearer tokens and webhooks are signed with."""

    bearer: str
    webhooks: str


class Load:
    """The clients."""

    def __init__(self, urls: Sequence[str], secrets: Secrets, vendor: ChaosVendor, seed: int) -> None:
        self.history: list[Call] = []
        self.meetings: dict[str, list[Meeting]] = {tenant: [] for tenant in TENANTS}
        self._urls = urls
        self._secrets = secrets
        self._vendor = vendor
        self.bearers = {tenant: self.bearer(tenant) for tenant in TENANTS}
        self._archives: dict[str, list[tuple[Meeting, str]]] = {tenant: [] for tenant in TENANTS}
        self._numbers = iter(range(1, 10**9))
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(f"{seed}-{i}",)) for i in range(CLIENTS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def look(self, urls: Sequence[str]) -> None:
        """Read everything at each of the nodes, as the end of the history."""
        reads = (Kind.READ, Kind.ATTENDEES, Kind.ARCHIVES)
        meetings = [meeting for of_tenant in self.meetings.values() for meeting in of_tenant]
        with ThreadPoolExecutor(CLIENTS) as pool:
            for kind, meeting, url in itertools.product(reads, meetings, urls):
                pool.submit(self._about, random.Random(0), kind, meeting.tenant, meeting, url)

    # --- what a client does -------------------------------------------------------------------------------------

    def _run(self, seed: str) -> None:
        chance = random.Random(seed)
        while not self._stopping.is_set():
            tenant = chance.choice(TENANTS)
            kind = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            with self._lock:
                recent = self.meetings[tenant][-RECENT:]
                archives = self._archives[tenant][-RECENT:]
            if not recent or kind is Kind.CREATE:
                self._create(chance, tenant)
            elif kind is Kind.LIST:
                self._call(chance, kind, tenant, "", "GET", "/session?pageSize=50")
            elif kind in (Kind.ARCHIVE_STOP, Kind.ARCHIVE_DELETE, Kind.ARCHIVE_READ):
                if archives:
                    self._archive(chance, kind, tenant, *chance.choice(archives))
            elif kind is Kind.MOODY:
                self._moody(chance, tenant)
            elif kind is Kind.FOREIGN:
                self._foreign(chance, tenant)
            else:
                self._about(chance, kind, tenant, chance.choice(recent))

    def _about(self, chance: random.Random, kind: Kind, tenant: str, meeting: Meeting, url: str = "") -> None:
        path, link = f"/session/{meeting.link}", meeting.link
        match kind:
            case Kind.JOINED | Kind.LEFT:
                self._webhook(chance, kind, meeting)
            case Kind.TOKEN:
                self._call(chance, kind, tenant, link, "POST", f"{path}/token", {})
            case Kind.ATTENDEES:
                self._call(chance, kind, tenant, link, "GET", f"{path}/attendees?pageSize=100", url=url)
            case Kind.READ:
                self._call(chance, kind, tenant, link, "GET", path, url=url)
            case Kind.EDIT:
                value = f"edit-{self._number()}"
                self._call(chance, kind, tenant, link, "PATCH", path, {"extId": value}, subject=value)
            case Kind.END:
                self._call(chance, kind, tenant, link, "PATCH", f"{path}/end")
            case Kind.ARCHIVES:
                query = f"/archives?meetingLink={link}&pageSize=100"
                self._call(chance, kind, tenant, link, "GET", query, url=url)
            case Kind.ARCHIVE_START:
                call = self._call(chance, kind, tenant, link, "POST", f"{path}/archives", {})
                if call.done:
                    with self._lock:
                        self._archives[tenant].append((meeting, call.answer))

    def _create(self, chance: random.Random, tenant: str) -> None:
        """Create with a key, and repeat it as careful clients do; some give up at once and leave it half done."""
        key = f"{chance.getrandbits(64):x}"
        call = None
        for _ in range(chance.choice((1, 2, 3, 6))):
            patience = chance.choice((0.05, 0.3, *[PATIENCE_SECONDS] * 8))
            call = self._call(chance, Kind.CREATE, tenant, "", "POST", "/session", NEW, subject=key, patience=patience)
            if chance.random() < 0.1:  # keys are each tenant's own
                other = TENANTS[1 - TENANTS.index(tenant)]
                self._call(chance, Kind.CREATE, other, "", "POST", "/session", NEW, subject=key)
            if not call.done:
                self._stopping.wait(0.2)
        if call is None or not call.done:
            return
        if chance.random() < 0.2:
            self._call(chance, Kind.REUSE, tenant, "", "POST", "/session", {"extId": "x"}, subject=key)
        token = self._call(chance, Kind.TOKEN, tenant, call.answer, "POST", f"/session/{call.answer}/token", {})
        if token.done:
            with self._lock:
                self.meetings[tenant].append(Meeting(tenant, call.answer, token.answer))

    def _archive(self, chance: random.Random, kind: Kind, tenant: str, meeting: Meeting, archive: str) -> None:
        method, path = {
            Kind.ARCHIVE_STOP: ("POST", f"/archives/{archive}/stop"),
            Kind.ARCHIVE_DELETE: ("DELETE", f"/archives/{archive}"),
            Kind.ARCHIVE_READ: ("GET", f"/archives/{archive}"),
        }[kind]
        self._call(chance, kind, tenant, meeting.link, method, path, subject=archive)

    def _moody(self, chance: random.Random, tenant: str) -> None:
        made = self._call(chance, Kind.MOODY, tenant, "", "POST", "/session", {"provider": "moody"})
        if made.status == 200:
            path = f"/session/{made.answer}"
            self._call(chance, Kind.MOODY, tenant, "", "POST", f"{path}/token", {})
            self._call(chance, Kind.MOODY, tenant, "", "PATCH", f"{path}/end")
        self._call(chance, Kind.MOODY, tenant, "", "POST", "/webhooks/moody/session", "{}")

    def _foreign(self, chance: random.Random, tenant: str) -> None:
        other = TENANTS[1 - TENANTS.index(tenant)]
        with self._lock:
            meetings, archives = self.meetings[other][-RECENT:], self._archives[other][-RECENT:]
        tries = []
        if meetings:
            path = f"/session/{chance.choice(meetings).link}"
            tries += [("GET", path), ("PATCH", f"{path}/end"), ("POST", f"{path}/token"), ("GET", f"{path}/attendees")]
            tries += [("PATCH", path), ("POST", f"{path}/archives")]
        if archives:
            path = f"/archives/{chance.choice(archives)[1]}"
            tries += [("GET", path), ("POST", f"{path}/stop"), ("DELETE", path)]
        if tries:
            method, path = chance.choice(tries)
            self._call(chance, Kind.FOREIGN, tenant, "", method, path, {} if method in ("POST", "PATCH") else None)

    def _webhook(self, chance: random.Random, kind: Kind, meeting: Meeting) -> None:
        with self._vendor.lock:
            now = time.time_ns() // 1_000_000
            there = self._vendor.connected.setdefault(meeting.session, {})
            if kind is Kind.JOINED:
                connection = f"{self._number():08x}-0000-4000-8000-000000000000"
                created = there[connection] = now
            elif there:
                connection = chance.choice(sorted(there))
                created = there.pop(connection)
            else:
                return
        event = "connectionCreated" if kind is Kind.JOINED else "connectionDestroyed"
        document: dict[str, Any] = {
            "sessionId": meeting.session, "projectId": API_KEY, "event": event, "timestamp": now,
            "connection": {"id": connection, "createdAt": created, "data": f"attendee-{connection}"},
        }  # fmt: skip
        if kind is Kind.LEFT:
            document["reason"] = "clientDisconnected"
        body = json.dumps(document)
        digest = hashlib.sha256(body.encode()).hexdigest()
        claims = {"iss": "Vonage", "iat": now // 1000, "jti": connection, "api_key": API_KEY, "payload_hash": digest}
        signature = jwt.encode(claims, self._secrets.webhooks, "HS256")
        for _ in range(8):  # as the vendor does: until it is taken
            call = self._call(
                chance, kind, meeting.tenant, meeting.link, "POST", "/webhooks/session", body,
                subject=connection, authorization=f"Bearer {signature}",
            )  # fmt: skip
            if call.done and chance.random() < 0.8:
                return
            self._stopping.wait(0 if call.done else 0.2)

    # --- one request ----------------------------------------------------------------------------------------------

    def _call(
        self,
        chance: random.Random,
        kind: Kind,
        tenant: str,
        meeting: str,
        method: str,
        path: str,
        body: object = None,
        *,
        subject: str = "",
        patience: float = PATIENCE_SECONDS,
        authorization: str = "",
        url: str = "",
    ) -> Call:
        sent = {"Authorization": authorization or self.bearers[tenant], "Content-Type": "application/json"}
        if kind in (Kind.CREATE, Kind.REUSE):
            sent["Idempotency-Key"] = subject
        data = None if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        request = urllib.request.Request((url or chance.choice(self._urls)) + path, data, sent, method=method)
        call = Call(kind, tenant, meeting, time.monotonic(), subject)
        try:
            with urllib.request.urlopen(request, timeout=patience) as answer:
                text = answer.read()
                call.status = answer.status
            note(call, text)
        except urllib.error.HTTPError as error:
            with error:
                call.status = error.code
                call.answer = error.read().decode(errors="replace")[:300]
        except (OSError, http.client.HTTPException) as error:
            impatient = patience < PATIENCE_SECONDS and isinstance(getattr(error, "reason", error), TimeoutError)
            call.status, call.answer = GAVE_UP if impatient else BROKEN, type(error).__name__
        call.ended = time.monotonic()
        self.history.append(call)
        return call

    def _number(self) -> int:
        return next(self._numbers)

    def bearer(self, tenant: str) -> str:
        now = int(time.time())
        claims = {"sub": "chaos", "tenant": tenant, "iat": now, "exp": now + 86400, "iss": "videoconf"}
        claims |= {"aud": "videoconf", "permissions": PERMISSIONS}
        return f"Bearer {jwt.encode(claims, self._secrets.bearer, 'HS256')}"


def note(call: Call, text: bytes) -> None:
    """Note what a successful answer says, as far as a rule needs it."""
    if call.kind in (Kind.CREATE, Kind.REUSE):
        call.answer = json.loads(text)
    elif call.kind is Kind.MOODY:
        found = json.loads(text) if text else ""
        call.answer = found if isinstance(found, str) else ""
    elif call.kind is Kind.TOKEN:
        call.answer = json.loads(text)["sessionId"]
    elif call.kind is Kind.ARCHIVE_START:
        call.answer = json.loads(text)["id"]
    elif call.kind is Kind.READ:
        found = json.loads(text)
        call.seen = {name: found.get(name) or "" for name in ("extId", "endTime")}
    elif call.kind is Kind.LIST:
        call.seen = {meeting["meetingLink"]: "" for meeting in json.loads(text)}
    elif call.kind is Kind.ATTENDEES:
        people = json.loads(text)
        call.seen = {one["id"]: "left" if one["left"] else "there" for who in people for one in who["connections"]}
    elif call.kind is Kind.ARCHIVES:
        call.seen = {archive["id"]: archive["status"] for archive in json.loads(text)["items"]}
    elif call.kind is Kind.ARCHIVE_READ:
        call.seen = {call.subject: json.loads(text)["status"]}
