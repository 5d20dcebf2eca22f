"""Reading the audit trail: by meeting, actor and time, newest first, the caller's tenant alone."""

import json
import re
import time
from datetime import datetime

import pytest

from tests.support.service import ON_SQLITE


def read(api, **query):
    answer = api("GET", "/audit?" + "&".join(f"{name}={value}" for name, value in query.items()))
    assert answer.status == 200, answer
    return answer.json


def test_change_has_the_member_names_of_the_api(service):
    maker = service.caller_with(subject="maker")
    link = maker("POST", "/session", {"extId": "a"}, X_Request_ID="request-1").json
    maker("PATCH", f"/session/{link}", {"extId": "b", "extMetadata": {"inner_key": 1}}, X_Request_ID="request-2")
    edited, created = read(service.api, meetingLink=link)
    assert created == {
        "at": created["at"],
        "actor": "maker",
        "actorType": "caller",
        "action": "meeting.created",
        "meetingLink": link,
        "target": None,
        "before": None,
        "after": {"extId": "(not recorded)", "provider": service.provider.key},
        "requestId": "request-1",
        "serverRequestId": created["serverRequestId"],
    }
    own = [entry["serverRequestId"] for entry in (created, edited)]
    assert [re.fullmatch("[0-9a-f]{32}", one) is not None for one in own] == [True, True], own
    assert own[0] != own[1], "one id a request, which no caller chooses"
    assert edited["before"] == {"extId": "(not recorded)", "extMetadata": None}
    assert edited["after"] == {"extId": "(not recorded)", "extMetadata": "(not recorded)"}
    assert created["at"].endswith("Z")
    assert datetime.fromisoformat(created["at"]) <= datetime.fromisoformat(edited["at"])


def test_changed_time_has_the_format_of_all_times(api):
    link = api.create()
    api("PATCH", f"/session/{link}/end")
    ended = read(api, meetingLink=link)[0]
    assert ended["after"] == {"endTime": api.read(link)["endTime"]}
    assert ended["after"]["endTime"].endswith("Z")


def test_filters_go_together(service):
    ann, bob = (service.caller_with(subject=name) for name in ("ann", "bob"))
    first, second = ann.create(), bob.create()
    bob("PATCH", f"/session/{first}/end")

    def found(**query):
        return [(entry["actor"], entry["meetingLink"], entry["action"]) for entry in read(service.api, **query)]

    of_first = [("bob", first, "meeting.ended"), ("ann", first, "meeting.created")]
    assert found(meetingLink=first) == of_first
    assert found(actor="ann") == of_first[1:]
    assert found(actor="bob", meetingLink=first) == of_first[:1]
    assert found() == [of_first[0], ("bob", second, "meeting.created"), of_first[1]]
    assert found(actor="unknown") == []


def test_since_is_inclusive_and_until_is_exclusive(api):
    links = []
    for _ in range(3):
        links.append(api.create())
        time.sleep(0.002)  # SQLite's clock counts milliseconds
    times = [read(api, meetingLink=link)[0]["at"] for link in links]

    def found(**query):
        return [entry["meetingLink"] for entry in read(api, **query)]

    assert found(since=times[1]) == [links[2], links[1]]
    assert found(until=times[1]) == [links[0]]
    assert found(since=times[1], until=times[2]) == [links[1]]
    in_another_zone = datetime.fromisoformat(times[1]).isoformat().replace("+00:00", "%2B00:00")
    assert found(since=in_another_zone) == [links[2], links[1]]


def test_trail_is_paged_newest_first(api):
    links = [api.create() for _ in range(5)]
    answer = api("GET", "/audit?pageSize=2&page=2")
    assert [entry["meetingLink"] for entry in answer.json] == [links[2], links[1]]
    assert json.loads(answer.headers["X-Pagination"])["total"] == 5
    assert 'rel="next"' in answer.headers["Link"]


def test_another_tenants_changes_are_not_seen(service):
    link = service.caller_with(tenant="acme").create()
    assert read(service.api) == []
    assert read(service.api, meetingLink=link) == []
    assert [entry["meetingLink"] for entry in read(service.caller_with(tenant="acme"))] == [link]


@ON_SQLITE
@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("since=yesterday", "since"),
        ("until=2026-01-01T00:00:00", "until"),
        ("actor=" + "x" * 256, "actor"),
        ("page=0", "page"),
        ("action=" + "x" * 256, "action"),
        ("meeting_link=x", "meeting_link"),
        ("actor=a&actor=b", "actor"),
    ],
)
def test_invalid_filter_is_refused_by_name(api, query, wrong):
    assert api("GET", f"/audit?{query}").wrong == [wrong]
