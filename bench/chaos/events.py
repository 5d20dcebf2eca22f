"""The log of events and a subscriber's record, held against every answer once all is quiet.

Folding a meeting's events must give what GET answers, and the subscriber must have received each event at least once
and no other. The subscriber speaks TLS on an address of this machine that is not loopback, as the operator allows it.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psycopg
import urllib3
from cryptography import x509
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.folding import Folded, still

LOOKS, LOOK_SECONDS = 4, 5.0
SETTLE_SECONDS = 90.0
"""For how long nothing may happen while events still wait."""


class Subscriber:
    """Receives events, verifies each, and now and then fails."""

    def __init__(self, folder: Path) -> None:
        self.host = own_address()
        self.received: dict[str, dict[str, Any]] = {}
        self.wrong: list[str] = []
        self.secrets: list[str] = []
        self._count = 0
        if self.host is None:
            return
        certificate, key = folder / "subscriber.pem", folder / "subscriber.key"
        make_certificate(self.host, certificate, key)
        self._certificate = certificate
        self._server = ThreadingHTTPServer((self.host, 0), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://{self.host}:{self._server.server_port}/events"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def settings(self) -> dict[str, str]:
        """Return what nodes need to post here."""
        found = {"VIDEOCONF_ENCRYPTION_KEYS": Fernet.generate_key().decode()}
        if self.host is not None:
            found["VIDEOCONF_EVENT_HOSTS"] = self.url.split("/")[2]
            found["SSL_CERT_FILE"] = str(self._certificate)
        return found

    def subscribe(self, node: str, bearers: dict[str, str]) -> None:
        """Subscribe to every tenant's events."""
        for bearer in bearers.values() if self.host is not None else ():
            body = json.dumps({"url": self.url}).encode()
            headers = {"Authorization": bearer, "Content-Type": "application/json"}
            answer = urllib3.request("POST", f"{node}/event-subscriptions", body=body, headers=headers)
            self.secrets.append(answer.json()["secret"])

    def close(self) -> None:
        """Stop receiving."""
        if self.host is not None:
            self._server.shutdown()
            self._server.server_close()

    def _take(self, headers: dict[str, str], body: bytes) -> int:
        self._count += 1
        if self._count % 7 == 0:
            return 503
        for secret in self.secrets:
            try:
                event = Webhook(secret).verify(body, headers)
            except WebhookVerificationError:
                continue
            before = self.received.setdefault(headers["webhook-id"], event)
            if before != event:
                self.wrong.append(f"one webhook-id, two events: {headers['webhook-id']}")
            return 204
        return 401 if not self.secrets else self._refuse(headers)

    def _refuse(self, headers: dict[str, str]) -> int:
        self.wrong.append(f"a delivery without a valid signature: {headers.get('webhook-id')}")
        return 401

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = take({name.lower(): value for name, value in self.headers.items()}, body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        return Handler


def own_address() -> str | None:
    """Return an address of this machine that is not loopback, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return None
        found = str(probe.getsockname()[0])
    return None if ip_address(found).is_loopback else found


def make_certificate(host: str, certificate: Path, key: Path) -> None:
    """Make a certificate that the nodes trust."""
    private, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=True)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    text = serialization.PrivateFormat.PKCS8
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, text, serialization.NoEncryption()))


def settle_events(url: str) -> list[str]:
    """Wait until no change waits to be projected and no event to be delivered, as long as there are fewer each time."""
    waiting = """
        SELECT (SELECT count(*) FROM change),
            (SELECT coalesce(sum(newest - position), 0)::int FROM event_subscription),
            (SELECT count(*) FROM event_delivery WHERE status = 'pending')
    """
    least, deadline = float("inf"), 0.0
    with psycopg.connect(url, autocommit=True) as connection:
        while (counts := connection.execute(waiting).fetchone() or ()) != (0, 0, 0):
            if sum(counts) < least:
                least, deadline = sum(counts), time.monotonic() + SETTLE_SECONDS
            if time.monotonic() > deadline:
                return [f"{counts} changes, positions of subscriptions and deliveries still wait"]
            with connection.transaction():  # subscriptions first, as the service locks them
                connection.execute("UPDATE event_subscription SET retry_at = now() WHERE retry_at IS NOT NULL")
                # What failed twice by chance waits for minutes, longer than this waits for it.
                connection.execute("UPDATE event_delivery SET next_attempt_at = now() WHERE status = 'pending'")
            time.sleep(1)
    return []


def check_events(
    node: str, bearers: dict[str, str], meetings: dict[str, list[Any]], subscriber: Subscriber
) -> list[str]:
    """Return what the log and the subscriber's record say that is not so.

    Rosters go on while all is read, so what differs is looked at again: what is wrong stays wrong.
    """
    wrong: list[str] = []
    for _ in range(LOOKS):
        if not (wrong := _wrong_now(node, bearers, meetings, subscriber)):
            break
        time.sleep(LOOK_SECONDS)
    return wrong


def _wrong_now(node: str, bearers: dict[str, str], meetings: dict[str, list[Any]], subscriber: Subscriber) -> list[str]:
    wrong, logged = list(subscriber.wrong), dict[str, dict[str, Any]]()
    for tenant, bearer in bearers.items():
        folded: dict[str, Folded] = {}
        events = read_log(node, bearer)
        for event in events:
            logged[event["id"]] = event
            if event["tenant"] != tenant:
                wrong.append(f"tenant {tenant} is shown an event of {event['tenant']}")
            try:
                folded.setdefault(event["meetingLink"], Folded()).take(event)
            except AssertionError as gap:
                wrong.append(f"the sequence of {event['meetingLink']} has a gap: {gap}")
        if [one["position"] for one in events] != sorted({one["position"] for one in events}):
            wrong.append(f"positions of tenant {tenant} repeat or go back")
        for meeting in meetings[tenant]:
            wrong += compare(node, bearer, meeting.link, folded.get(meeting.link, Folded()))
    if subscriber.host is not None:
        wrong += [f"an event was never delivered: {one}" for one in logged.keys() - subscriber.received.keys()]
        for event_id, event in list(subscriber.received.items()):  # more may arrive meanwhile
            if logged.get(event_id) != event:
                wrong.append(f"a delivery is not what the log has: {event_id}")
    return wrong


def read_log(node: str, bearer: str) -> list[dict[str, Any]]:
    """Read a tenant's whole log."""
    found, after = [], 0
    while True:
        answer = get(node, f"/events?after={after}", bearer)
        found += answer["items"]
        if not answer["items"]:
            return found
        after = answer["next"]


def compare(node: str, bearer: str, link: str, folded: Folded) -> list[str]:
    """Compare what a meeting's events say with what GET answers."""
    archives = {one["id"]: one for one in get(node, f"/archives?meetingLink={link}", bearer)["items"]}
    answers = {
        "the meeting": (folded.meeting, get(node, f"/session/{link}", bearer)),
        "the attendees": (still(folded.attendees), still(get(node, f"/session/{link}/attendees", bearer))),
        "the archives": (folded.archives, archives),
    }
    return [
        f"{link}: the log differs in {what}: {said} {is_so}" for what, (said, is_so) in answers.items() if said != is_so
    ]


def get(node: str, path: str, bearer: str) -> Any:
    """Read from a node."""
    answer = urllib3.request("GET", node + path, headers={"Authorization": bearer}, retries=urllib3.Retry(3))
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {answer.data[:200]!r}")
    return answer.json()
