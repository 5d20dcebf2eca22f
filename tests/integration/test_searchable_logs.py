"""An operator searches the log: why a customer could not join, why the database is away, what the worker does."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, exc

from tests.support.service import ON_SQLITE, Service, service_of
from videoconf.api.services import services
from videoconf.db.transactions import write
from videoconf.db.types import db
from videoconf.jobs import worker
from videoconf.jobs.queue import Work, enqueue

pytestmark = ON_SQLITE
MakeApp = Callable[..., Flask]
Headers = Callable[..., dict[str, str]]
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    """Give a function that returns the lines that were logged since it was last called."""

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    return read


def requests_of(found: list[dict[str, Any]], link: str) -> list[tuple[str, int, str | None]]:
    return [
        (line["method"], line["status"], line.get("code"))
        for line in found
        if line["message"] == "request" and line.get("meeting_link") == link
    ]


def test_meeting_is_found_in_each_line_about_it(service: Service, lines: Lines) -> None:
    link = service.api.create()
    service.join(link, attendee="canary-person")
    service.deliver()
    service.api("PATCH", f"/session/{link}/end")
    refused = service.api("POST", f"/session/{link}/token", {})
    other = service.api.create()
    found = lines()
    told = requests_of(found, link)
    assert told[:2] == [("POST", 200, None), ("POST", 200, None)], "the creation and the token"
    assert ("PATCH", 204, None) in told
    assert told[-1] == ("POST", 409, refused.json["code"])
    assert any(line.get("route", "").startswith("/webhooks") and line.get("meeting_link") == link for line in found)
    assert requests_of(found, other) == [("POST", 200, None)]
    assert "canary-person" not in json.dumps(found)


def test_archive_is_found_by_its_id_and_its_meeting(service: Service, lines: Lines) -> None:
    link = service.api.create()
    service.join(link)
    service.deliver()
    archive = service.api("POST", f"/session/{link}/archives", {}).json["id"]
    lines()
    service.api("PATCH", f"/archives/{archive}", {"name": "x"})
    [line] = [line for line in lines() if line["message"] == "request"]
    assert (line["archive_id"], line["meeting_link"]) == (archive, link)


def test_actor_is_in_the_line_only_where_the_setting_says_so(make_app: MakeApp, headers: Headers, lines: Lines) -> None:
    for log_actor in (True, False):
        client = make_app(log_actor=log_actor).test_client()
        lines()
        client.get("/session", headers=headers(sub="ann@example.com"))
        client.get("/session")
        known, unknown = lines()[0], lines()
        assert known.get("actor") == ("ann@example.com" if log_actor else None)
        assert all("actor" not in line for line in unknown)


@pytest.fixture
def broken(app: Flask) -> Iterator[None]:
    """Let each statement fail as a database does that is away."""

    def fail(*arguments: Any) -> None:
        original = sqlite3.OperationalError("unable to open database file on /srv")
        original.sqlite_errorname = "SQLITE_CANTOPEN"
        raise exc.OperationalError("SELECT secret_column", {"password": "tops3cret"}, original)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", fail)
    yield
    event.remove(engine, "before_cursor_execute", fail)


@pytest.mark.usefixtures("broken")
def test_unavailable_database_has_its_cause_in_the_log(app: Flask, headers: Headers, lines: Lines) -> None:
    lines()
    answer = app.test_client().get("/session", headers=headers())
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (503, "database_unavailable")
    said = [line["message"] for line in lines() if line["level"] == "warning"]
    assert any("unable to open database file on /srv" in message for message in said), said
    assert not any("secret" in message or "tops3cret" in message for message in said)
    assert "/srv" not in answer.get_data(as_text=True)


@pytest.mark.usefixtures("broken")
def test_waiting_worker_logs_the_cause(app: Flask, lines: Lines) -> None:
    running = worker.Worker(services(app).jobs, app.app_context)
    lines()
    running.start()
    try:
        said: list[str] = []
        for _ in range(100):
            said += [line["message"] for line in lines()]
            if said:
                break

            time.sleep(0.05)
    finally:
        running.stop()
    assert "unable to open database file on /srv" in said[0]


def test_finished_job_is_a_line_with_its_ids(app: Flask, lines: Lines) -> None:
    jobs = services(app).jobs
    jobs.declare(Work("greet", lambda payload: logging.getLogger("videoconf.test").info("hello")))
    with app.app_context():
        with write() as session:
            job_id = enqueue(session, "greet", {"meeting_id": 7, "secret": "canary"})
        lines()
        jobs.run_now("greet")
        jobs.run_now("prune_jobs")
    inner, done = lines()
    assert (inner["job_id"], inner["job_kind"]) == (job_id, "greet")
    assert done["message"] == f"job {job_id} (greet) done at attempt 1"
    assert (done["meeting_id"], done["milliseconds"] >= 0) == (7, True)
    assert "canary" not in json.dumps(done)


def test_line_of_a_job_keeps_no_meeting_of_the_job_before(make_app: MakeApp, headers: Headers, lines: Lines) -> None:
    app = make_app()
    service = service_of(app, headers)
    link = service.api.create()
    service.room(link)
    service.api("PATCH", f"/session/{link}/end")
    jobs = services(app).jobs
    jobs.declare(Work("greet", lambda payload: None))
    with app.app_context():
        with write() as session:
            enqueue(session, "greet", {})
        jobs.run_now("record_meetings")
        lines()
        jobs.run_now("greet")
    [done] = lines()
    assert "job_id" in done


def test_idle_worker_reports_that_it_works(app: Flask, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setattr(worker, "REPORT_SECONDS", 0.0)
    running = worker.Worker(services(app).jobs, app.app_context)
    lines()
    running.start()
    try:
        found: list[dict[str, Any]] = []
        for _ in range(100):
            found += [line for line in lines() if line["message"] == "the worker works"]
            if found:
                break
            time.sleep(0.05)
    finally:
        running.stop()
    assert found[0]["jobs"].keys() >= {"due", "waiting", "dead"}
    assert found[0]["jobs_tried"] == 0


def test_path_of_a_stranger_writes_no_members_of_a_line(make_app: MakeApp, lines: Lines) -> None:
    client = make_app().test_client()
    assert client.get("/session/x%20status=200%20tenant=acme").status_code == 401
    assert client.get("/session/x%C2%9B2J").status_code == 401
    found = [line["meeting_link"] for line in lines() if line["message"] == "request"]
    assert found == ["'x status=200 tenant=acme'", "'x\\x9b2J'"]
