"""Liveness asks nothing; readiness asks the database, briefly and seldom."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, func, select, text

from videoconf import __version__
from videoconf.api import health
from videoconf.api.services import EXTENSION
from videoconf.db.types import db
from videoconf.idempotency import IdempotencyKey
from videoconf.settings import Settings


@pytest.fixture
def shell(shell: Flask, settings: Settings, tmp_path: Any) -> Iterator[Flask]:
    shell.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path}/test.db"
    db.init_app(shell)
    shell.extensions[EXTENSION] = SimpleNamespace(
        settings=settings,
        providers=SimpleNamespace(find={}.get),
        credentials=SimpleNamespace(unknown_key_ids=lambda: unknown_keys),
        jobs=SimpleNamespace(threads_state=lambda: "ok"),
    )
    shell.register_blueprint(health.blueprint)
    yield shell
    with shell.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(health.time, "monotonic", lambda: clock.seconds)
    return clock


unknown_keys: list[str] = []


def stamp(shell: Flask, revision: str | None) -> None:
    with shell.app_context(), db.engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS videoconf_version (version_num VARCHAR(32))"))
        IdempotencyKey.metadata.tables["idempotency_key"].create(connection, checkfirst=True)
        connection.execute(text("DELETE FROM videoconf_version"))
        if revision:
            connection.execute(text("INSERT INTO videoconf_version VALUES (:revision)"), {"revision": revision})


def test_process_answers_while_its_database_is_down(shell: Flask, client: FlaskClient) -> None:
    with shell.app_context():
        event.listen(db.engine, "do_connect", lambda *arguments: 1 / 0)
    response = client.get("/healthz")
    assert (response.status_code, response.get_json()) == (200, {"status": "ok"})


def test_service_is_ready_with_this_releases_schema(shell: Flask, client: FlaskClient) -> None:
    stamp(shell, health.code_revisions()[0])
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.get_json() == {
        "status": "ok",
        "release": __version__,
        "checks": {"database": "ok", "schema": "ok", "encryption": "ok", "writes": "ok"},
        "providers": {"vonage": "unavailable"},
    }


def test_service_is_not_ready_without_its_encryption_keys(
    shell: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.unknown_keys", ["k-2"])
    stamp(shell, health.code_revisions()[0])
    response = client.get("/readyz")
    assert response.status_code == 503
    assert "k-2" in response.get_json()["checks"]["encryption"]


def test_service_is_ready_with_a_later_schema(shell: Flask, client: FlaskClient) -> None:
    """It is migrated before nodes are replaced; those that are not yet must not all leave at once."""
    stamp(shell, "of a later release")
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.get_json()["checks"] == {"database": "ok", "schema": "newer", "encryption": "ok", "writes": "ok"}


@pytest.mark.parametrize(("revision", "named"), [(None, "none"), ("0001", "revision 0001")])
def test_service_is_not_ready_with_an_older_schema(
    shell: Flask, client: FlaskClient, revision: str | None, named: str
) -> None:
    stamp(shell, revision)
    response = client.get("/readyz")
    assert (response.status_code, response.content_type) == (503, "application/json")
    body = response.get_json()
    assert (body["status"], body["checks"]["database"]) == ("unavailable", "ok")
    assert body["checks"]["schema"].startswith(named)
    assert str(health.code_revisions()[0]) in body["checks"]["schema"]


def test_service_is_not_ready_without_a_schema(client: FlaskClient) -> None:
    body = client.get("/readyz").get_json()
    assert body["checks"]["schema"].startswith("none")


def test_service_is_not_ready_without_a_database(shell: Flask, tmp_path: Any) -> None:
    shell.config["SQLALCHEMY_DATABASE_URI"] = "unused"
    with shell.app_context():
        db.engines[None].dispose()
    (tmp_path / "test.db").mkdir()
    response = shell.test_client().get("/readyz")
    assert response.status_code == 503
    assert response.get_json()["checks"] == {"database": "database_unavailable", "schema": "unknown"}


def test_the_database_is_asked_once_in_two_seconds(shell: Flask, client: FlaskClient, now: SimpleNamespace) -> None:
    stamp(shell, health.code_revisions()[0])
    assert client.get("/readyz").status_code == 200
    stamp(shell, None)
    now.seconds += 1.9
    assert client.get("/readyz").status_code == 200
    now.seconds += 0.2
    assert client.get("/readyz").status_code == 503
    stamp(shell, health.code_revisions()[0])
    now.seconds += 2
    assert client.get("/readyz").status_code == 200


def test_readiness_leaves_no_row(shell: Flask, client: FlaskClient) -> None:
    stamp(shell, health.code_revisions()[0])
    assert client.get("/readyz").status_code == 200
    with shell.app_context(), db.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(IdempotencyKey)).scalar_one() == 0


def test_not_ready_when_the_database_cannot_be_written(
    shell: Flask, client: FlaskClient, now: SimpleNamespace, tmp_path: Any
) -> None:
    stamp(shell, health.code_revisions()[0])
    with shell.app_context():
        event.listen(db.engine, "checkout", lambda connection, *_: connection.execute("PRAGMA query_only = on"))
    response = client.get("/readyz")
    assert (response.status_code, response.get_json()["status"]) == (503, "unavailable")
    assert response.get_json()["checks"]["writes"] == "database_full"


def test_job_threads_that_ended_are_reported(shell: Flask, client: FlaskClient) -> None:
    assert "jobs" not in client.get("/readyz").get_json()
    said = "3 of 3 threads run; 1 ended and were started again"
    shell.extensions[EXTENSION].jobs.threads_state = lambda: said
    assert client.get("/readyz").get_json()["jobs"] == said
