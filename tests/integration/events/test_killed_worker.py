"""A worker that is killed at any moment loses no event, and what it sends again has the same id."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from tests.support.receiver import receiver
from tests.support.service import ON_POSTGRESQL
from tests.support.settings import JWT_SECRET
from videoconf.db.transactions import write
from videoconf.events.changes import announce
from videoconf.events.types import EventType
from videoconf.meetings.models import Meeting
from videoconf.settings import Secret

KEY = Fernet.generate_key().decode()
COMMAND = Path(sys.executable).with_name("videoconf")


@pytest.fixture
def app_options():
    return {"development": True, "encryption_keys": (Secret(KEY),)}


@pytest.fixture
def start_worker(app, database_url, tmp_path):
    """Give a function that starts a worker on this test's database."""
    environment = {
        **os.environ,
        "VIDEOCONF_DATABASE_URL": database_url,
        "VIDEOCONF_PROVIDERS": "fake",
        "VIDEOCONF_DEVELOPMENT": "true",
        "VIDEOCONF_ENCRYPTION_KEYS": KEY,
        "VIDEOCONF_JWT_SECRETS": JWT_SECRET,
    }
    started = []

    def start():
        with (tmp_path / f"worker-{len(started)}.log").open("wb") as log:
            started.append(subprocess.Popen([COMMAND, "worker"], env=environment, stdout=log, stderr=log))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.mark.long
@pytest.mark.timeout(300)
@ON_POSTGRESQL
def test_killed_worker_loses_no_event(service, start_worker):
    chance, sent = random.Random(1), 0
    with receiver() as one:
        one.delay_seconds = 0.02
        service.api("POST", "/event-subscriptions", {"url": one.url})
        link = service.api.create()
        with service.app.app_context(), write() as session:
            meeting_id = session.execute(select(Meeting.id).where(Meeting.meeting_link == link)).scalar_one()
        for _ in range(6):
            worker = start_worker()
            until = time.monotonic() + chance.uniform(3, 7)
            while time.monotonic() < until:
                with service.app.app_context(), write() as session:
                    announce(session, meeting_id, EventType.LOBBY_WAITING, {"lobbyId": str(sent)})
                sent += 1
                time.sleep(0.05)
            worker.kill()
            worker.wait()
        start_worker()
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and len(set(one.ids)) < sent + 1:
            time.sleep(0.2)
        by_id = {}
        for event in one.events:
            assert by_id.setdefault(event["id"], event) == event
    names = [event["data"]["lobbyId"] for event in by_id.values() if event["type"] == "lobby.waiting"]
    assert sorted(names, key=int) == [str(number) for number in range(sent)], json.dumps(sorted(names))
