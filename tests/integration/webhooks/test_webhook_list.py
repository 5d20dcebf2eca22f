"""The list of webhooks."""

import json
import uuid

import pytest

from tests.integration.webhooks.steps import connection
from tests.support.service import ON_SQLITE, now_text


@ON_SQLITE
@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("active=yes", "active"),
        ("active=TRUE", "active"),
        ("active=1", "active"),
        ("active=", "active"),
        ("active=true&active=false", "active"),
        ("page=0", "page"),
        ("page=1&pageSize=101", "pageSize"),
        ("gone=true", "gone"),
    ],
)
def test_invalid_list_query_answers_422(service, query, path):
    assert service.api("GET", f"/session/{service.api.create()}/attendees?{query}").wrong == [path]


def test_list_without_a_page_is_complete(service):
    api = service.api
    link = api.create()
    session = service.room(link)
    for number in range(60):
        at = now_text(minutes=-number)
        one = connection(f"fc_{number}", attendee=f"u-{number:02}", created_at=at)
        assert service.post(service.made_up("connection.created", session, at=at, connection=one)).status == 204

    everybody = [f"u-{number:02}" for number in reversed(range(60))]
    whole = api("GET", f"/session/{link}/attendees")
    assert [person["attendee"] for person in whole.json] == everybody, "by first join"
    assert "X-Pagination" not in whole.headers
    pages = [api("GET", f"/session/{link}/attendees?active=true&page={page}&pageSize=25") for page in (1, 2, 3)]
    assert [person["attendee"] for page in pages for person in page.json] == everybody
    assert [len(page.json) for page in pages] == [25, 25, 10]
    assert json.loads(pages[1].headers["X-Pagination"])["total"] == 60
    assert f'</session/{link}/attendees?active=true&page=3&pageSize=25>; rel="next"' in pages[1].headers["Link"]
    assert len(api("GET", f"/session/{link}/attendees?page=1").json) == 50


@pytest.mark.needs
def test_similar_ids_stay_different(service):
    api = service.api
    link = api.create()
    session = service.room(link)
    attendees = ["Ann", "ann", "ann ", " ann", "änn", "a\u0308nn", str(uuid.UUID(int=7)), str(uuid.UUID(int=7)).upper()]
    attendees[-1] = "URN:" + attendees[-1]
    for number, attendee in enumerate(attendees):
        at = now_text(seconds=number - 60)
        one = connection(f"fc_{number}", attendee=attendee, created_at=at)
        assert service.post(service.made_up("connection.created", session, at=at, connection=one)).status == 204
    assert [person["attendee"] for person in api.attendees(link)] == attendees
