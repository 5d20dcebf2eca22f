"""A refused webhook leaves its reason: one line in the log, and a row among the newest 1,000 of its provider."""

import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import event, func, select, text

from tests.integration.webhooks.steps import assert_refused, stored
from tests.support.commands import run, run_json
from tests.support.service import ON_POSTGRESQL, ON_SQLITE, at_once
from videoconf.api.services import services
from videoconf.db.transactions import read, statements
from videoconf.db.types import db
from videoconf.errors import SchemaNotReady
from videoconf.webhooks import refusals as store
from videoconf.webhooks.models import WebhookRefusal
from videoconf.webhooks.refusals import KEPT

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def refuse(service):
    assert_refused(service.post(service.forged()))


def count(app):
    with app.app_context(), read() as session:
        return session.execute(select(func.count()).select_from(WebhookRefusal)).scalar_one()


def write(app):
    with app.app_context():
        services(app).refusals.write()


def test_refused_webhook_is_listed_with_its_reason(service, app, clock):
    refuse(service)
    [listed] = service.api("GET", "/webhook-events?status=rejected").json
    assert listed == {
        "id": None,
        "provider": service.provider.key,
        "channel": "session",
        "kind": None,
        "status": "rejected",
        "reason": service.writer.refusal,
        "sessionId": None,
        "receivedOn": clock.text(),
        "meetingLink": None,
    }
    assert run_json(app, "webhooks", "list", "--status", "rejected") == [listed]
    assert service.writer.refusal in run(app, "webhooks", "list", "--status", "rejected").stdout
    assert stored(app) == [], "no event, and no body"


@ON_SQLITE
def test_refused_webhook_leaves_one_line_in_the_log(service, caplog):
    refuse(service)
    lines = [record.getMessage() for record in caplog.records if "webhook" in record.getMessage()]
    provider, reason = service.provider.key, service.writer.refusal
    assert lines == [f"webhook rejected: provider {provider}, channel session: {reason}"]


def test_reason_fits_one_line():
    assert store.as_reason("a\nb\x1b[31m" + "x" * 1000) == "a b [31m" + "x" * 247


@ON_SQLITE
def test_a_million_refusals_add_nothing_beyond_the_bound(service, app):
    statements = []
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    note = services(app).refusals.note
    for number in range(1_000_000):
        note(service.provider.key, "session", f"reason {number}", NOW)
    refuse(service)
    assert statements == [], "a refusal costs no statement"
    write(app)
    assert count(app) == KEPT
    assert len(statements) < 10
    newest = service.api("GET", "/webhook-events?status=rejected&pageSize=2").json
    assert [one["reason"] for one in newest] == [service.writer.refusal, "reason 999999"]
    oldest = service.api("GET", f"/webhook-events?status=rejected&pageSize=1&page={KEPT}").json
    assert [one["reason"] for one in oldest] == ["reason 999001"]


def test_each_provider_keeps_its_newest_refusals(app, monkeypatch):
    monkeypatch.setattr(store, "KEPT", 10)
    refusals = services(app).refusals
    for number in range(3):
        refusals.note("quiet", "session", f"quiet {number}", NOW)
    for burst in range(3):
        for number in range(8):
            refusals.note("loud", "session", f"loud {burst}.{number}", NOW)
        write(app)
    with app.app_context(), read() as session:
        reasons = session.execute(select(WebhookRefusal.reason).order_by(WebhookRefusal.id)).scalars().all()
    assert [one for one in reasons if one.startswith("quiet")] == ["quiet 0", "quiet 1", "quiet 2"]
    assert [one for one in reasons if one.startswith("loud")] == [
        *(f"loud 1.{number}" for number in range(6, 8)),
        *(f"loud 2.{number}" for number in range(8)),
    ]


@ON_POSTGRESQL
def test_nodes_that_write_at_once_keep_the_bound(make_app):
    nodes = [make_app() for _ in range(4)]
    for node in nodes:
        for number in range(KEPT):
            services(node).refusals.note("fake", "session", str(number), NOW)
    at_once([lambda node=node: write(node) for node in nodes])
    assert count(nodes[0]) == KEPT


def test_refusals_are_written_by_themselves(service, app, monkeypatch):
    monkeypatch.setattr(store, "WRITE_SECONDS", 0.05)
    refuse(service)
    pause = threading.Event()
    for _ in range(100):
        if count(app) == 1:
            break
        pause.wait(0.05)
    assert count(app) == 1


def test_refusals_wait_while_the_database_cannot_store_them(service, app):
    def rename(old, new):
        with app.app_context(), statements() as connection:
            connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))

    rename("webhook_refusal", "elsewhere")
    refuse(service)
    with pytest.raises(SchemaNotReady):
        write(app)
    refuse(service)
    rename("elsewhere", "webhook_refusal")
    write(app)
    reasons = [one["reason"] for one in service.api("GET", "/webhook-events?status=rejected").json]
    assert reasons == [service.writer.refusal] * 2
