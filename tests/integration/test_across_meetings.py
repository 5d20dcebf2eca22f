"""Attendance across meetings, the meetings of a person, and rows that an older node stored."""

import csv
import io

import pytest
from sqlalchemy import select, update

from tests.support.service import ON_SQLITE
from videoconf.api.services import services
from videoconf.attendance.models import AttendeeConnection
from videoconf.db.transactions import write
from videoconf.meetings.models import Meeting


@pytest.fixture
def courses(service, api):
    """Give the links of two lessons of one course and one of another, by name, each with ann and one more person."""
    found = {}
    for name, other in (("math-1", "bob"), ("math-2", "cyd"), ("matter-1", "bob")):
        link = found[name] = api.create(extId=name)
        first = service.join(link, attendee="ann", name="Ann")
        service.join(link, attendee=other)
        service.deliver()
        service.fake.drop(first)
        service.join(link, attendee="ann", name="Ann")
        service.deliver()
    foreign = service.caller_with(tenant="acme").create(extId="math-9")
    service.fake.join(service.caller_with(tenant="acme").token(foreign, attendee="ann")["token"])
    service.deliver()
    return found


def across(api, query, **headers):
    answer = api("GET", f"/attendance?{query}", **headers)
    assert answer.status == 200, answer
    return answer


def test_person_has_one_row_for_each_meeting(api, courses):
    rows = across(api, "attendee=ann").json
    assert [(row["extId"], row["meetingLink"], row["attendee"], row["joinCount"]) for row in rows] == [
        (name, courses[name], "ann", 2) for name in ("matter-1", "math-2", "math-1")
    ]
    assert {(row["name"], row["active"], row["share"]) for row in rows} == {("Ann", True, None)}
    report = api("GET", f"/session/{courses['math-1']}/attendance").json
    [ann] = [one for one in report["attendees"] if one["attendee"] == "ann"]
    assert rows[-1]["firstJoin"] == ann["firstJoin"]
    assert rows[-1]["intervals"] == ann["intervals"]
    assert across(api, "attendee=nemo").json == []


def test_report_has_each_attendee_of_each_meeting(api, courses):
    rows = across(api, "extIdPrefix=math").json
    assert [(row["extId"], row["attendee"]) for row in rows] == [
        ("math-2", "ann"), ("math-2", "cyd"), ("math-1", "ann"), ("math-1", "bob"),
    ]  # fmt: skip
    assert all(0 <= row["share"] <= 1 for row in rows)
    assert [row["extId"] for row in across(api, "extIdPrefix=matter-1").json] == ["matter-1"] * 2
    assert api("DELETE", f"/session/{courses['math-2']}").status == 204
    assert {row["extId"] for row in across(api, "extIdPrefix=mat").json} == {"math-1", "matter-1"}


def test_range_bounds_when_meetings_were_created(api, courses):
    created = api.read(courses["math-2"])["createdOn"]
    before = {row["extId"] for row in across(api, f"attendee=ann&to={created}").json}
    since = {row["extId"] for row in across(api, f"extIdPrefix=m&from={created}").json}
    assert "math-1" in before
    assert "math-2" in since - before


def test_csv_defuses_formulas(service, api):
    link = api.create(extId="=1+1")
    service.join(link, attendee="ann", name="+cmd")
    service.deliver()
    answer = across(api, "extIdPrefix=%3D", Accept="text/csv")
    assert answer.headers["Content-Type"].startswith("text/csv")
    [row] = csv.DictReader(io.StringIO(answer.body.decode()))
    assert (row["extId"], row["name"]) == ("'=1+1", "'+cmd")
    assert row["meetingLink"].removeprefix("'") == link  # one in 64 begins with "-"


@ON_SQLITE
@pytest.mark.parametrize("query", ["", "attendee=a&extIdPrefix=b", "from=2026-01-01T00:00:00Z"])
def test_query_without_exactly_one_subject_is_refused(api, query):
    assert api("GET", f"/attendance?{query}").problem == (422, "filter_combination")


@pytest.mark.parametrize("prefix", ["%F4%8F%BF%BF", "a%F4%8F%BF%BF", "%ED%9F%BF", "%25", "_", "a"])
def test_prefix_is_matched_literally(service, api, prefix):
    from urllib.parse import unquote

    wanted = unquote(prefix) + "x"
    others = ("b", "B", "ä", "zz", "aa" if unquote(prefix) != "a" else "b2", "\ue000")
    for name in (wanted, *others):
        link = api.create(extId=name)
        service.join(link, attendee="ann")
    service.deliver()
    assert [row["extId"] for row in across(api, f"extIdPrefix={prefix}").json] == [wanted]


def test_meetings_are_found_by_attendee(service, api, courses):
    for sort, names in (("-created", ["matter-1", "math-1"]), ("created", ["math-1", "matter-1"])):
        answer = api("GET", f"/session?attendee=bob&sort={sort}")
        assert [one["extId"] for one in answer.json] == names
        assert '"total": 2' in answer.headers["X-Pagination"]
        first = api("GET", f"/session?attendee=bob&sort={sort}&limit=1")
        cursor = first.headers["X-Next-Cursor"]
        second = api("GET", f"/session?attendee=bob&sort={sort}&limit=1&cursor={cursor}")
        assert [one["extId"] for part in (first, second) for one in part.json] == names
        assert "X-Next-Cursor" not in second.headers
    assert len(api("GET", "/session?attendee=ann").json) == 3, "once each, however often ann came"
    api("DELETE", f"/session/{courses['math-1']}")
    assert [one["extId"] for one in api("GET", "/session?attendee=bob").json] == ["matter-1"]
    assert api("GET", "/session?attendee=bob&page=2&pageSize=1").json == []


def test_rows_of_an_older_node_are_placed(app, service, api, courses):
    with app.app_context(), write() as session:
        session.execute(update(AttendeeConnection).values(tenant=None, meeting_created_on=None))
    assert api("GET", "/session?attendee=ann").json == []
    with app.app_context():
        services(app).jobs.run_now("place_connections")
    assert len(api("GET", "/session?attendee=ann").json) == 3
    with app.app_context(), write() as session:
        columns = AttendeeConnection.tenant, AttendeeConnection.meeting_created_on, Meeting.tenant, Meeting.created_on
        pairs = session.execute(select(*columns).join(Meeting, Meeting.id == AttendeeConnection.meeting_id)).all()
    assert all(row[:2] == row[2:] for row in pairs)
    assert {tenant for tenant, *_ in pairs} == {"default", "acme"}


def test_webhook_of_this_release_places_an_older_row(app, service, api):
    link = api.create()
    connection = service.join(link, attendee="ann")
    service.deliver()
    with app.app_context(), write() as session:
        session.execute(update(AttendeeConnection).values(tenant=None, meeting_created_on=None))
    service.fake.leave(connection)
    service.deliver()
    assert [one["meetingLink"] for one in api("GET", "/session?attendee=ann").json] == [link]
