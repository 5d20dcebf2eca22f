"""The log of events read backwards, as people look at it: the newest first, and on from there."""

import pytest

from tests.support.service import ON_SQLITE, service_of


@pytest.fixture
def service(make_app, headers):
    return service_of(make_app(), headers)


def read(caller, **query):
    from urllib.parse import urlencode

    answer = caller("GET", f"/events?{urlencode(query)}")
    assert answer.status == 200, answer
    return answer.json


def test_walk_backwards_is_the_log_reversed(service):
    links = [service.api.create() for _ in range(5)]
    service.caller_with(tenant="other").create()
    for link in links[:3]:
        assert service.api("PATCH", f"/session/{link}/end").status == 204
    service.project()
    forwards = read(service.api)["items"]
    walked, before = [], "now"
    while before:
        found = read(service.api, before=before, limit=3)
        walked += found["items"]
        before = found["next"]
    assert walked == forwards[::-1]
    assert len(walked) >= 8
    of_one = read(service.api, before="now", meetingLink=links[0])["items"]
    assert [event["type"] for event in of_one] == ["meeting.ended", "meeting.created"]
    assert read(service.api, before="now", type="meeting.ended", limit=1)["items"][0]["meetingLink"] == links[2]


def test_empty_log_has_no_older_part(service):
    assert read(service.api, before="now") == {"items": [], "next": 0}
    assert read(service.api, before="5") == {"items": [], "next": 0}


@ON_SQLITE
@pytest.mark.parametrize("query", ["before=now&after=1", "before=now&wait=1", "before=-1", "before=x"])
def test_two_directions_at_once_are_refused(service, query):
    assert service.api("GET", f"/events?{query}").wrong == ["before"]
