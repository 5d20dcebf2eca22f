"""Walking a list by cursor: each row once whatever happens meanwhile, and never another list's or tenant's."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, update

from tests.support.service import ON_SQLITE, service_of
from videoconf.archives.models import Archive
from videoconf.audit import AuditEntry
from videoconf.db.keyset import COUNTED
from videoconf.db.transactions import write
from videoconf.db.types import db
from videoconf.jobs.models import Job
from videoconf.meetings.models import Meeting
from videoconf.webhooks.models import WebhookEvent


def walk(caller, path, limit=2):
    """Give each part of a list: what follows the first is asked for only when it is taken."""
    joined = "&" if "?" in path else "?"
    answer = caller("GET", f"{path}{joined}limit={limit}")
    while True:
        assert answer.status == 200, answer
        found = answer.json
        yield found["items"] if isinstance(found, dict) else found
        cursor = answer.headers.get("X-Next-Cursor")
        assert ('rel="next"' in answer.headers.get("Link", "")) == (cursor is not None)
        assert "X-Pagination" not in answer.headers
        if cursor is None:
            return
        answer = caller("GET", f"{path}{joined}limit={limit}&cursor={cursor}")


def whole(caller, path, limit=2):
    return [one for part in walk(caller, path, limit) for one in part]


def links(meetings):
    return [meeting["meetingLink"] for meeting in meetings]


# --- each row once --------------------------------------------------------------------------------------------------

CHANGES = st.lists(
    st.tuples(st.sampled_from(["add", "delete", "reschedule", "end"]), st.integers(0, 9)), min_size=1, max_size=6
)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def walked(request, create_database, installed_plugins, headers):
    """Give a service on each database that the examples of one property share, each with a tenant of its own."""
    from tests.support.settings import FAKE_SETTINGS, JWT_SECRET
    from videoconf.app import create_app
    from videoconf.settings import Secret, Settings

    url = create_database(request.param)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in FAKE_SETTINGS.items():
            patch.setenv(name, value)
        values = {"providers": ("fake",), "jwt_secrets": (Secret(JWT_SECRET),), "embedded_workers": 0}
        app = create_app(Settings(database_url=Secret(url), **values), plugins=installed_plugins, serving=True)
    yield service_of(app, headers)
    with app.app_context():
        db.engine.dispose()


tenants = iter(range(1_000_000))


@pytest.mark.parametrize("sort", ["-created", "created", "-scheduled", "scheduled"])
@given(changes=CHANGES, pause=st.integers(1, 4), limit=st.integers(1, 4))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_that_stay_come_once_while_others_change(walked, sort, changes, pause, limit):
    caller = walked.caller_with(tenant=f"t{next(tenants)}")
    # Some at one time, so that ids decide.
    meetings = [
        caller.create(isScheduled=True, scheduleTime=f"2100-01-01T0{number // 3}:00:00Z", extId="x")
        for number in range(9)
    ]
    moved, seen = set(), []

    def change(kind, number):
        link = meetings[number % len(meetings)]
        if kind == "add":
            meetings.append(caller.create(isScheduled=True, scheduleTime=f"2100-01-01T0{number % 3}:30:00Z", extId="x"))
            moved.add(meetings[-1])
        elif kind == "delete":
            moved.add(link)
            caller("DELETE", f"/session/{link}")
        elif kind == "reschedule":
            if "scheduled" in sort:
                moved.add(link)
            caller(
                "PATCH",
                f"/session/{link}",
                {"isScheduled": True, "scheduleTime": f"2100-02-0{number % 9 + 1}T00:00:00Z"},
            )
        else:
            caller("PATCH", f"/session/{link}/end")

    path = f"/session?sort={sort}&extId=x"
    expected = links(caller("GET", f"/session?sort={sort}").json)
    waiting = list(changes)
    for number, part in enumerate(walk(caller, path, limit)):
        seen += links(part)
        if number % pause == 0 and waiting:
            change(*waiting.pop())
    stayed = [link for link in expected if link not in moved]
    assert [link for link in seen if link not in moved] == stayed


RECEIVED = datetime(2100, 1, 1, tzinfo=UTC)
EVENT_CHANGES = st.lists(
    st.tuples(st.sampled_from(["add", "delete", "settle", "age"]), st.integers(0, 11)), min_size=1, max_size=6
)


@pytest.mark.parametrize("query", ["", "status=ignored", "since=2100-01-01T00:00:01Z"])
@given(changes=EVENT_CHANGES, pause=st.integers(1, 4), limit=st.integers(1, 4))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_events_that_stay_come_once_while_others_change(walked, query, changes, pause, limit):
    """Also where one's status changes: the list of all has it at the same place."""
    tenant = f"t{next(tenants)}"
    caller = walked.caller_with(tenant=tenant)
    numbers = iter(range(1_000_000))

    def event_row(second, **others):
        # Some at one time, so that ids decide.
        at = RECEIVED + timedelta(seconds=second)
        names = {"provider": "fake", "account": "fake", "channel": "session", "kind": "joined"}
        return {
            **names,
            "dedupe_key": f"{tenant}-{next(numbers)}",
            "status": "ignored",
            "tenant": tenant,
            "session_id": tenant,
            "received_at": at,
            **others,
        }

    def execute(statement, *rows):
        with walked.app.app_context(), write() as session:
            session.execute(statement, *rows)

    execute(insert(WebhookEvent), [event_row(number // 3) for number in range(6)])
    execute(
        insert(WebhookEvent),
        [event_row(number // 3, tenant="" if number % 2 else tenant, status="quarantined") for number in range(6)],
    )
    expected = [one["id"] for one in caller("GET", f"/webhook-events?{query}").json]
    moved, seen = set(), []

    def change(kind, number):
        chosen = expected[number % len(expected)]
        mine = WebhookEvent.id == chosen
        if kind == "add":
            execute(insert(WebhookEvent), [event_row(number % 4)])
        elif kind == "delete":
            moved.add(chosen)
            execute(delete(WebhookEvent).where(mine))
        elif kind == "settle":
            moved.update({chosen} if "status" in query else ())
            execute(update(WebhookEvent).where(mine).values(status="quarantined"))
        else:
            moved.add(chosen)
            execute(update(WebhookEvent).where(mine).values(received_at=RECEIVED - timedelta(days=1)))

    waiting = list(changes)
    for number, part in enumerate(walk(caller, f"/webhook-events?{query}", limit)):
        seen += [one["id"] for one in part]
        if number % pause == 0 and waiting:
            change(*waiting.pop())
    assert [one for one in seen if one not in moved and one in expected] == [
        one for one in expected if one not in moved
    ]
    execute(update(WebhookEvent).where(WebhookEvent.tenant == "").values(tenant="gone"))


def test_attendees_come_once_while_others_join(service, api):
    link = api.create()
    for name in ("dee", "ann", "cyd", "bob"):
        service.join(link, attendee=name)
    service.join(link)
    service.deliver()
    seen = []
    for part in walk(api, f"/session/{link}/attendees", limit=2):
        seen += [one["attendee"] for one in part]
        service.join(link, attendee="abe")
        service.join(link, attendee="zoe")
        service.deliver()
    assert seen == [None, "ann", "bob", "cyd", "dee", "zoe"]


@ON_SQLITE
def test_walk_goes_on_behind_anonymous_attendees(service, api):
    link = api.create()
    anonymous = {service.join(link) for _ in range(3)}
    service.join(link, attendee="ann")
    service.deliver()
    found = whole(api, f"/session/{link}/attendees", limit=1)
    assert [one["attendee"] for one in found] == [None, None, None, "ann"]
    assert {one["connections"][0]["id"] for one in found[:3]} == anonymous


def test_audit_and_archives_are_walked_in_their_order(app, service, api):
    for _ in range(5):
        api.create()
    entries = whole(api, "/audit")
    assert entries == api("GET", "/audit").json
    with app.app_context(), write() as session:
        meeting = session.query(Meeting).first()
        rows = [archive_row(meeting.id, number) for number in range(5)]
        session.execute(insert(Archive), rows)
    assert whole(api, "/archives") == api("GET", "/archives").json["items"]
    assert whole(api, "/archives?sort=created") == api("GET", "/archives").json["items"][::-1]


def archive_row(meeting_id, number, **others):
    return {
        "tenant": "default",
        "meeting_id": meeting_id,
        "provider": "fake",
        "account": "fake",
        "archive_id": f"a{number}",
        "status": "available",
        "provider_status": "available",
        "meta_data": {},
        **others,
    }


# --- cursors --------------------------------------------------------------------------------------------------------


def cursor_of(caller, path):
    joined = "&" if "?" in path else "?"
    return caller("GET", f"{path}{joined}limit=1").headers["X-Next-Cursor"]


def test_cursor_of_another_list_is_refused(service, api):
    for _ in range(2):
        link = api.create(extId="x", isScheduled=True, scheduleTime="2100-01-01T00:00:00Z")
    acme = service.caller_with(tenant="acme")
    for _ in range(2):
        acme.create(extId="x")
    cursor = cursor_of(api, "/session")
    assert acme("GET", f"/session?limit=1&cursor={cursor}").problem == (400, "cursor_invalid")
    for other in (
        "/session?extId=x",
        "/session?sort=created",
        "/session?sort=-scheduled",
        "/session?createdFrom=2020-01-01T00:00:00Z",
        "/audit?",
        "/archives?",
        f"/session/{link}/attendees?",
    ):
        assert api("GET", f"{other}&cursor={cursor}").problem == (400, "cursor_invalid"), other
    assert len(api("GET", f"/session?limit=50&cursor={cursor}").json) == 1, "another limit goes on at the same place"


def test_cursor_of_webhook_events_by_id_is_refused(service, api):
    """The release before sorted them by their ids."""
    for _ in range(2):
        assert service.post(service.made_up("moon.risen")).status == 204
    cursor = cursor_of(api, "/webhook-events")
    assert api("GET", f"/webhook-events?cursor={cursor}").status == 200
    assert api("GET", f"/webhook-events?cursor={changed(cursor, [1])}").problem == (400, "cursor_invalid")
    acme = service.caller_with(tenant="acme")
    assert acme("GET", f"/webhook-events?cursor={cursor}").problem == (400, "cursor_invalid")


def test_jobs_of_a_state_are_walked_and_counted(app, api):
    with app.app_context(), write() as session:
        states = ("dead", "done", "pending")
        rows = [{"kind": "end_session", "payload": {}, "state": state} for state in states for _ in range(5)]
        session.execute(insert(Job), rows)
    found = whole(api, "/jobs?state=done")
    assert {one["state"] for one in found} == {"done"}
    assert [one["id"] for one in found] == sorted((one["id"] for one in found), reverse=True)
    page = api("GET", "/jobs?state=done&pageSize=2&page=2")
    assert page.json == found[2:4]
    assert json.loads(page.headers["X-Pagination"])["total"] == len(found) == 5


def changed(cursor, position):
    document = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    return base64.urlsafe_b64encode(json.dumps([*document[:2], *position]).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "position",
    [
        [],
        [1],
        [1, 2, 3],
        ["x", 1],
        [1, "x"],
        [True, 1],
        [1, True],
        [1.5, 1],
        [None, 1],
        [-1, 1],
        [1, -1],
        [10**30, 1],
        [1, 2**63],
        [[1], 1],
        [{}, 1],
    ],
)
def test_tampered_position_is_refused(api, position):
    for _ in range(2):
        api.create()
    cursor = changed(cursor_of(api, "/session"), position)
    assert api("GET", f"/session?cursor={cursor}").problem == (400, "cursor_invalid")


@pytest.mark.parametrize("position", [[0, 0], [4 * 10**15, 2**63 - 1], [10**15, 2**31]])
def test_made_up_position_gives_the_tenants_own_rows(service, api, position):
    service.caller_with(tenant="acme").create()
    own = {api.create() for _ in range(2)}
    for sort in ("created", "-created"):
        cursor = changed(cursor_of(api, f"/session?sort={sort}"), position)
        answer = api("GET", f"/session?sort={sort}&cursor={cursor}")
        assert answer.status == 200
        assert set(links(answer.json)) <= own


@ON_SQLITE
@pytest.mark.parametrize("cursor", ["", "x", "!!", "e30", "W10", "WzFd", "%F0%9F%92%A9", "W" * 8192, "WzEsIngiXQ=="])
def test_malformed_cursor_answers_400(api, cursor):
    assert api("GET", f"/session?cursor={cursor}").problem == (400, "cursor_invalid")


@ON_SQLITE
def test_cursor_and_page_do_not_go_together(api):
    assert api("GET", "/session?limit=5&page=1").wrong == ["page"]
    assert api("GET", "/session?cursor=x&pageSize=5").wrong == ["pageSize"]
    assert api("GET", "/session?limit=0").wrong == ["limit"]
    assert api("GET", "/session?limit=101").wrong == ["limit"]


# --- pages ----------------------------------------------------------------------------------------------------------


@ON_SQLITE
@pytest.mark.parametrize("path", ["/session", "/audit", "/archives", "/session/{link}/attendees"])
def test_pages_beyond_ten_thousand_rows_name_the_cursor(api, path):
    path = path.format(link=api.create())
    for query in ("page=101&pageSize=100", "page=10000&pageSize=2", "page=10000"):
        answer = api("GET", f"{path}?{query}")
        assert answer.wrong == ["page"]
        assert "cursor" in answer.json["detail"]
    assert api("GET", f"{path}?page=100&pageSize=100").status == 200
    assert api("GET", f"{path}?page=10000&pageSize=1").status == 200


def test_totals_are_exact_up_to_ten_thousand_and_then_capped(app, api):
    api.create()
    with app.app_context(), write() as session:
        meeting = session.query(Meeting).first()
        session.execute(insert(Archive), [archive_row(meeting.id, number) for number in range(COUNTED)])
        entry = {"tenant": "default", "actor": "a", "action": "b"}
        session.execute(insert(AuditEntry), [entry] * COUNTED)
    answer = api("GET", "/archives?pageSize=1")
    assert "totalIsCapped" not in json.loads(answer.headers["X-Pagination"])
    assert (answer.json["count"], "countIsCapped" in answer.json) == (COUNTED, False)
    pagination = json.loads(api("GET", "/audit").headers["X-Pagination"])
    assert (pagination["total"], pagination["totalIsCapped"], pagination["totalPages"]) == (COUNTED, True, 200)
    with app.app_context(), write() as session:
        session.execute(insert(Archive), [archive_row(meeting.id, COUNTED)])
    answer = api("GET", "/archives?pageSize=1&page=10000")
    assert (answer.json["count"], answer.json["countIsCapped"], len(answer.json["items"])) == (COUNTED, True, 1)
    assert 'rel="next"' not in answer.headers["Link"], "no link leads where pages end"
    with app.app_context(), write() as session:
        session.execute(update(Archive).where(Archive.archive_id != "a7").values(status="failed"))
    assert api("GET", "/archives?status=available").json["count"] == 1
