"""A meeting whose session is not known yet does not exist for callers, whatever they ask for."""

import pytest
from sqlalchemy import update

from tests.support.service import ON_SQLITE, service_of
from videoconf.db.transactions import write
from videoconf.meetings.models import Meeting

pytestmark = ON_SQLITE


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("PATCH", "", {"extId": "x"}),
        ("DELETE", "", None),
        ("PATCH", "/end", None),
        ("POST", "/token", {}),
        ("GET", "/attendees", None),
        ("GET", "/attendees?page=1", None),
        ("GET", "/attendance", None),
        ("DELETE", "/attendees/c", None),
        ("POST", "/attendees/c/mute", None),
        ("POST", "/mute", None),
        ("POST", "/archives", {}),
    ],
)
def test_meeting_that_is_not_ready_is_not_found(app, headers, method, path, body):
    service = service_of(app, headers)
    link = service.api.create()
    with app.app_context(), write() as session:
        session.execute(update(Meeting).values(is_ready=False))
    assert service.api(method, f"/session/{link}{path}", body).status == 404
