"""A vendor whose clock is wrong deletes no recording, keeps none for ever, and does not make a status stick."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from tests.integration.archives.steps import get, items, row_of, sweep, told
from tests.support.service import service_of
from videoconf.archives.models import Archive
from videoconf.db.functions import utc_in
from videoconf.db.transactions import write
from videoconf.meetings.models import Meeting

pytestmark = pytest.mark.needs("archiving")

WRONG = {
    "seconds for milliseconds": "1970-01-21T11:33:20Z",
    "the epoch": "1970-01-01T00:00:00Z",
    "the end of times": "9999-12-31T23:59:59Z",
    "a day ahead": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
}


def grow_older(app: Any, days: float) -> None:
    with app.app_context(), write() as session:
        session.execute(update(Archive).values(created_on=utc_in(-86400 * days), known_on=utc_in(-86400 * days)))


@pytest.mark.parametrize("time", WRONG.values(), ids=WRONG)
def test_wrong_creation_time_decides_no_deletion(make_app: Any, headers: Any, time: str) -> None:
    app = make_app(archive_retention_days=30)
    service = service_of(app, headers)
    link = service.api.create()
    told(service, "wrong", service.api.read(link)["sessionId"], "available", created_at=time)
    sweep(app)
    sweep(app)
    assert [one["id"] for one in items(service.api)] == ["wrong"]
    begun = row_of(app, "wrong")["created_on"]
    assert abs(begun - datetime.now(UTC)) < timedelta(minutes=5)
    grow_older(app, 31)
    sweep(app)
    sweep(app)
    assert items(service.api) == []


def test_old_creation_time_of_an_old_meeting_waits_for_our_clock(make_app: Any, headers: Any) -> None:
    """The time can be true, so it is shown; the retention is counted from when the service learned of it."""
    app = make_app(archive_retention_days=30)
    service = service_of(app, headers)
    link = service.api.create()

    with app.app_context(), write() as session:
        session.execute(update(Meeting).values(created_on=utc_in(-86400 * 90)))
    long_ago = datetime.now(UTC) - timedelta(days=60)
    told(service, "old", service.api.read(link)["sessionId"], "available", created_at=long_ago.isoformat())
    sweep(app)
    sweep(app)
    assert [one["id"] for one in items(service.api)] == ["old"]
    assert abs(row_of(app, "old")["created_on"] - long_ago) < timedelta(seconds=1)
    with app.app_context(), write() as session:
        session.execute(update(Archive).values(known_on=utc_in(-86400 * 31)))
    sweep(app)
    sweep(app)
    assert items(service.api) == []


@pytest.mark.needs("archiving", "the fake")
@pytest.mark.parametrize("time", WRONG.values(), ids=WRONG)
def test_wrong_update_time_does_not_make_paused_stick(make_app: Any, headers: Any, time: str) -> None:
    app = make_app()
    service = service_of(app, headers)
    session_id = service.api.read(service.api.create())["sessionId"]
    told(service, "a", session_id, "paused", updated_at=time)
    told(service, "a", session_id, "started")
    assert get(service.api, "a")["status"] == "started"


@pytest.mark.needs("archiving", "the fake")
def test_stored_wrong_update_time_does_not_stick(make_app: Any, headers: Any) -> None:
    app = make_app()
    service = service_of(app, headers)
    session_id = service.api.read(service.api.create())["sessionId"]
    told(service, "a", session_id, "paused")
    with app.app_context(), write() as session:  # as an earlier release stored it
        session.execute(update(Archive).values(provider_updated_at=datetime(9999, 1, 1, tzinfo=UTC)))
    told(service, "a", session_id, "started")
    assert get(service.api, "a")["status"] == "started"
