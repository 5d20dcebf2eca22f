"""Archives beyond their age are deleted, and held or running ones are not."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy import select, update

from tests.integration.archives.steps import audited, finished, get, items, receipt, row_of, start, sweep, told
from tests.support.service import ON_SQLITE, service_of
from videoconf.api.services import services
from videoconf.archives.models import Archive
from videoconf.db.functions import utc_in
from videoconf.db.transactions import read, write
from videoconf.db.types import db
from videoconf.errors import ProviderConflict
from videoconf.jobs.models import Job

pytestmark = pytest.mark.needs("archiving", long=True)


def age(app, days, *archive_ids, known_days=None):
    with app.app_context(), write() as session:
        begun, known = (utc_in(-86400.0 * one) for one in (days, known_days or days))
        of_these = update(Archive).where(Archive.archive_id.in_(archive_ids))
        session.execute(of_these.values(created_on=begun, known_on=known))


def test_retention_deletes_old_archives_except_held_and_running(make_app, headers):
    app = make_app(archive_retention_days=30)
    service = service_of(app, headers)
    calls, original = [], service.provider.delete_archive
    service.provider.script("delete_archive", lambda one: (calls.append(one), original(one)), always=True)
    link = service.api.create()
    service.join(link)
    old, young, corrected, held = (finished(service, link) for _ in range(4))
    running = start(service.api, link)["id"]
    service.api("PATCH", f"/archives/{held}", {"legalHold": True})
    age(app, 31, old, held, running)
    age(app, 29, young)
    age(app, 29, corrected, known_days=31)  # the provider named a later time than at first
    sweep(app)
    sweep(app)
    assert {one["id"] for one in items(service.api)} == {young, corrected, held, running}
    assert calls == [old]
    [deleted] = audited(app, "archive.deleted")
    assert (deleted.actor, deleted.target, deleted.after) == ("retention", old, receipt(service))


def test_retention_run_begins_more_than_one_batch(make_app, headers, monkeypatch):
    monkeypatch.setattr("videoconf.archives.delete.RETENTION_BATCH", 3)
    app = make_app(archive_retention_days=30)
    service = service_of(app, headers)
    link = service.api.create()
    session_id = service.api.read(link)["sessionId"]
    names = [f"a-{number}" for number in range(10)]
    for name in names:
        told(service, name, session_id, "available")
    age(app, 31, *names)
    with app.app_context():
        with monkeypatch.context() as patch:
            patch.setattr("videoconf.db.batches.RUN_SECONDS", 0.0)
            services(app).deletion.expire()
        assert {one["status"] for one in items(service.api)} == {"available"}, "what is not begun in time is left"
        services(app).deletion.expire()
        with read() as session:
            times = session.execute(select(Job.due_at).where(Job.kind == "erase_archive")).scalars().all()
            latest = session.execute(select(utc_in(1800))).scalar_one()
    assert {one["status"] for one in items(service.api)} == {"deleting"}
    assert max(times) <= latest
    assert max(times) - min(times) > timedelta(seconds=10), "spread, or other jobs would wait for all of them"


@ON_SQLITE
def test_retention_waits_for_a_provider_that_is_not_enabled(make_app, headers):
    app = make_app(archive_retention_days=30)
    service = service_of(app, headers)
    told(service, "a-1", service.api.read(service.api.create())["sessionId"], "available")
    age(app, 31, "a-1")
    with app.app_context():
        with write() as session:
            session.execute(update(Archive).values(provider="another", check_due_at=utc_in(-60)))
        before = row_of(app, "a-1")
        services(app).deletion.expire()
        services(app).jobs.run_now("reconcile_archives")
    assert row_of(app, "a-1") == before


def test_retention_finds_the_oldest_by_an_index(make_app, headers):
    app = make_app(archive_retention_days=30)
    seen = []
    with app.app_context():
        sa.event.listen(db.engine, "before_cursor_execute", lambda *args: seen.append((args[2], args[3])))
        services(app).deletion.expire()
        statement, parameters = next(one for one in seen if "FROM archive" in one[0] and "ORDER BY" in one[0])
        is_postgresql = db.engine.dialect.name == "postgresql"
        with db.engine.connect() as connection:
            if is_postgresql:
                connection.exec_driver_sql("SET enable_seqscan = off")
            explain = "EXPLAIN " if is_postgresql else "EXPLAIN QUERY PLAN "
            plan = str(connection.exec_driver_sql(explain + statement, parameters).all())
    assert "ix_archive_kept" in plan
    assert "Sort" not in plan
    assert "TEMP B-TREE" not in plan


def test_archives_stay_without_a_retention_setting(service, api, link, app):
    archive_id = finished(service, link)
    age(app, 36500, archive_id)
    sweep(app)
    assert get(api, archive_id)["status"] == "available"


@ON_SQLITE
def test_refusal_of_retention_leaves_no_audit_entry(make_app, headers):
    """Retention asks again every hour, so its refusals would bury those of callers."""
    app = make_app(archive_retention_days=30)
    service = service_of(app, headers)
    link = service.api.create()
    service.join(link)
    archive_id = finished(service, link)
    age(app, 31, archive_id)
    service.provider.script("delete_archive", ProviderConflict(), always=True)
    with app.app_context():
        services(app).deletion.expire()
        services(app).jobs.run_now("erase_archive")
    assert get(service.api, archive_id)["status"] == "available"
    assert audited(app, "archive.deletion_refused") == []
    assert service.api("DELETE", f"/archives/{archive_id}").problem == (409, "archive_not_deletable")
    assert [entry.actor for entry in audited(app, "archive.deletion_refused")] == ["tester"]
