"""The run."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import secrets
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from cryptography.fernet import Fernet

import bench.chaos
from bench.chaos import moody
from bench.chaos.aftermath import complaints, leaks, settle, surplus_sessions
from bench.chaos.checker import GRACE_SECONDS, check
from bench.chaos.events import Subscriber, check_events, settle_events
from bench.chaos.history import Fault
from bench.chaos.load import CLIENTS, TENANTS, Load, Secrets
from bench.chaos.nodes import (
    NODES,
    POOL,
    PORTS,
    ROOT,
    WORKERS,
    Database,
    Nodes,
    migrate,
    nemesis,
    nginx,
    wait_until_up,
    work_folder,
)
from bench.chaos.pooler import Pooler
from bench.chaos.storage import storage
from bench.chaos.vendor import ChaosVendor
from bench.vendor import API_KEY

MOST_SHOWN, MOST_ALIKE = 1000, 5
"""How many violations are printed, and of those that begin alike."""


def settings(database: Database, vendor: ChaosVendor, signing: Secrets) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("VIDEOCONF_")},
        "VIDEOCONF_DATABASE_URL": database.url,
        "VIDEOCONF_DATABASE_POOL_SIZE": str(POOL),
        "VIDEOCONF_PROVIDERS": f"vonage,{moody.KEY}",
        "VIDEOCONF_ARCHIVE_RETENTION_DAYS": "30",
        "VIDEOCONF_VONAGE_API_KEY": API_KEY,
        "VIDEOCONF_VONAGE_API_SECRET": "0123456789abcdef0123456789abcdef01234567",
        "VIDEOCONF_VONAGE_API_URL": vendor.url,
        "VIDEOCONF_VONAGE_SIGNATURE_SECRETS": signing.webhooks,
        "VIDEOCONF_JWT_SECRETS": signing.bearer,
        "VIDEOCONF_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "VIDEOCONF_DEVELOPMENT": "true",  # which allows storage on this machine
        "VIDEOCONF_ROSTER_SECONDS": "5",  # so that it has its part in a minute
        "VIDEOCONF_RATE_LIMIT_ADDRESS": "",  # all clients have one address, and forge webhooks
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=bench.chaos.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--pooler", action="store_true", help="put PgBouncer in transaction mode before PostgreSQL")
    parser.add_argument("--history", type=Path, help="where the whole history goes, as JSON lines")
    args = parser.parse_args()
    print(f"seed {args.seed}, {args.seconds:g} seconds, {CLIENTS} clients of {len(TENANTS)} tenants", flush=True)
    chance = random.Random(args.seed)
    vendor = ChaosVendor(args.seed)
    signing = Secrets(secrets.token_urlsafe(48), secrets.token_urlsafe(48))
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(work_folder())
        database = stack.enter_context(contextlib.closing(Database(folder)))
        subscriber = stack.enter_context(contextlib.closing(Subscriber(folder)))
        environment = settings(database, vendor, signing) | subscriber.settings()
        moody.install(folder / "plugins")
        environment["PYTHONPATH"] = f"{ROOT}{os.pathsep}{folder / 'plugins'}"
        migrate(environment)
        target = stack.enter_context(storage(folder))
        pooler = stack.enter_context(Pooler(database)) if args.pooler else None
        if pooler is not None:
            environment |= pooler.settings
            print("behind PgBouncer in transaction mode", flush=True)
        nodes = Nodes(environment, folder)
        stack.callback(nodes.stop)
        proxy = stack.enter_context(nginx(folder))
        print("behind nginx" if proxy else "nginx is not installed: the nodes are called in turn", flush=True)
        load = Load([proxy] if proxy else NODES, signing, vendor, args.seed)
        target.become_target(NODES[0], load.bearer("default"))
        faults: list[Fault] = []
        ways = nemesis(nodes, database, vendor, target, chance)
        if pooler is not None:
            ways["restart PgBouncer"] = pooler.restart
        wait_until_up(NODES[0])
        subscriber.subscribe(NODES[0], load.bearers)
        load.start()
        until = time.monotonic() + args.seconds
        order: list[str] = []
        try:
            while time.monotonic() < until:
                time.sleep(chance.uniform(2, 5))
                order = order or chance.sample(sorted(ways), len(ways))  # each once before any comes again
                name = order.pop()
                began = time.monotonic()
                ways[name]()
                faults.append(Fault(name, began, time.monotonic()))
                print(f"{began - until + args.seconds:6.1f} s  {name}", flush=True)
            time.sleep(GRACE_SECONDS + 2)  # nothing may fail any more
        finally:
            load.stop()
        for node in NODES:
            wait_until_up(node)
        called = len(load.history)
        settle(database.url)
        load.look(NODES)
        wrong = check(load.history, faults)
        wrong += leaks(database.url, len(PORTS) * WORKERS * POOL)
        wrong += surplus_sessions(database.url, vendor.sessions, load.history)
        wrong += complaints(folder.glob("node-*.log"))
        wrong += settle_events(database.url)
        wrong += check_events(NODES[0], load.bearers, load.meetings, subscriber)
        heard = "a subscriber" if subscriber.host else "no subscriber: this machine has no address but loopback"
        print(f"{len(subscriber.received)} events at {heard}")
    if args.history is not None:
        args.history.write_text("".join(json.dumps(asdict(call)) + "\n" for call in load.history))
    counts = Counter(f"{call.kind} {call.status}" for call in load.history[:called])
    print(", ".join(f"{name}: {count}" for name, count in sorted(counts.items())))
    print(f"{sum(map(len, load.meetings.values()))} meetings, each read at both nodes in the end")
    print(f"{called} calls, {len(faults)} faults, {len(wrong)} violations")
    alike: Counter[str] = Counter()
    for line in wrong:
        alike[line[:24]] += 1
        if alike[line[:24]] <= MOST_ALIKE and alike.total() <= MOST_SHOWN:
            print(f"VIOLATION {line[:2000]}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
