"""The attendance report: presence rules, totals, and a CSV that is safe to open."""

import csv
import io
import re
from datetime import timedelta

import pytest

from tests.integration.attendance.model import Event, text
from tests.integration.attendance.scripted import Script
from tests.support.service import ON_SQLITE


@pytest.fixture
def script(service):
    script = Script(service)
    script.link = script.create()
    return script


@pytest.fixture
def at(clock):
    begin = clock.now - timedelta(hours=5)
    return lambda minute: begin + timedelta(minutes=minute)


def stay(at, connection, joined, left, who=None, name=None):
    return [Event("joined", at(joined), connection, who, name), Event("left", at(left), connection, reason="left")]


@pytest.fixture
def meeting(script, at):
    """Ann is there from 0 to 40 in tabs that overlap and from 100 to 160, bob from 30 to 50, another from 35 to 36."""
    script.deliver(
        [
            *stay(at, "a1", 0, 30, "ann", "Ann"),
            *stay(at, "a2", 20, 40, "ann"),
            *stay(at, "a3", 100, 160, "ann"),
            *stay(at, "b1", 30, 50, "bob"),
            *stay(at, "x1", 35, 36),
        ]
    )
    return script


def report(script, query="", **headers):
    return script.service.api("GET", f"/session/{script.link}/attendance{query}", **headers)


def test_the_report_adds_up(meeting, at):
    answer = report(meeting).json
    rows = answer.pop("attendees")
    assert answer == {
        "sessionId": meeting.session_id,
        "startedOn": text(at(0)),
        "endedOn": text(at(160)),
        "durationSeconds": 110 * 60,
        "attendeeCount": 3,
        "connectionCount": 5,
        "peakConcurrency": 3,
        "peakOn": text(at(35)),
    }
    assert [(row["attendee"], row["totalSeconds"], row["share"], row["joinCount"]) for row in rows] == [
        ("ann", 100 * 60, round(100 / 110, 4), 3),
        ("bob", 20 * 60, round(20 / 110, 4), 1),
        (None, 60, round(1 / 110, 4), 1),
    ]
    ann = rows[0]
    assert [(one["joined"], one["left"]) for one in ann["intervals"]] == [
        (text(at(0)), text(at(40))),
        (text(at(100)), text(at(160))),
    ]
    assert (ann["name"], ann["firstJoin"], ann["lastLeave"]) == ("Ann", text(at(0)), text(at(160)))


@pytest.mark.parametrize(
    ("query", "present"),
    [
        ("", ["ann", "bob", None]),
        ("?minimumSeconds=1200", ["ann", "bob"]),
        ("?minimumSeconds=1201", ["ann"]),
        ("?minimumShare=0.9", ["ann"]),
        ("?minimumShare=0.91", []),
        ("?minimumShare=0", ["ann", "bob", None]),
    ],
)
def test_rule_decides_which_attendees_are_present(meeting, query, present):
    rows = report(meeting, query).json["attendees"]
    assert [row["attendee"] for row in rows if row["present"]] == present
    assert len(rows) == 3


def test_present_attendees_count_up_to_now(script, at, clock):
    script.deliver([Event("joined", at(290), "c", "ann")])
    [row] = report(script).json["attendees"]
    assert (row["totalSeconds"], row["active"], row["lastLeave"]) == (600, True, None)
    assert row["intervals"] == [{"joined": text(at(290)), "left": None, "joinInferred": False, "leaveInferred": False}]
    clock.step(seconds=90)
    assert report(script).json["durationSeconds"] == 690


def test_inferred_times_are_marked(script, at):
    script.deliver([Event("activity", at(10), "c", "ann"), Event("session_closed", at(20))])
    [row] = report(script).json["attendees"]
    assert row["intervals"] == [
        {"joined": text(at(10)), "left": text(at(20)), "joinInferred": True, "leaveInferred": True}
    ]


def test_meeting_without_attendees_has_an_empty_report(script):
    answer = report(script).json
    assert (answer["attendees"], answer["durationSeconds"], answer["startedOn"], answer["peakConcurrency"]) == (
        [],
        0,
        None,
        0,
    )
    assert report(script, Accept="text/csv").body.count(b"\r\n") == 1


@ON_SQLITE
@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("minimumShare=1.1", "minimumShare"),
        ("minimumShare=-0.1", "minimumShare"),
        ("minimumShare=nan", "minimumShare"),
        ("minimumSeconds=-1", "minimumSeconds"),
        ("minimumSeconds=1.5", "minimumSeconds"),
        ("minimumShare=0.5&minimumSeconds=5", "minimumSeconds"),
        ("page=1", "page"),
    ],
)
def test_invalid_rule_is_refused(script, query, wrong):
    assert report(script, f"?{query}").wrong == [wrong]


@ON_SQLITE
def test_report_needs_its_permission_and_its_tenant(script, service):
    assert service.caller_with("GetMeetings")("GET", f"/session/{script.link}/attendance").status == 403
    assert service.caller_with(tenant="other")("GET", f"/session/{script.link}/attendance").problem == (
        404,
        "meeting_not_found",
    )
    assert service.stranger("GET", f"/session/{script.link}/attendance").status == 401


@ON_SQLITE
@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/csv", "text/csv; charset=utf-8; header=present"),
        ("text/csv;q=0.5, application/json", "application/json"),
        ("*/*", "application/json"),
    ],
)
def test_accept_header_chooses_the_format(script, accept, content_type):
    answer = report(script, Accept=accept)
    assert (answer.status, answer.headers["Content-Type"]) == (200, content_type)
    assert "Accept" in answer.headers["Vary"]
    assert report(script, Accept="text/html").problem == (406, "not_acceptable")


def test_csv_has_the_values_of_the_json(meeting, at):
    answer = report(meeting, "?minimumSeconds=1200", Accept="text/csv")
    assert "attachment" in answer.headers["Content-Disposition"]
    assert answer.body.endswith(b"\r\n")
    rows = list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))
    for row, wanted in zip(rows, report(meeting, "?minimumSeconds=1200").json["attendees"], strict=True):
        assert row["attendee"] == (wanted["attendee"] or "")
        assert (int(row["totalSeconds"]), float(row["share"]), int(row["joinCount"])) == (
            wanted["totalSeconds"],
            wanted["share"],
            wanted["joinCount"],
        )
        assert row["present"] == str(wanted["present"]).lower()
        assert row["intervals"] == " ".join(f"{one['joined']}/{one['left']}" for one in wanted["intervals"])


HOSTILE = [
    '=HYPERLINK("http://evil.example","x")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    " =1+1",
    "\uff1d1+1",
    'a"b,c;d',
    "Ärzte 👩",
]


def test_hostile_name_stays_text_on_one_csv_line(script, at):
    for number, name in enumerate(HOSTILE):
        script.deliver(stay(at, f"c{number}", number, number + 1, who=f"{name} {number}", name=name))
    body = report(script, Accept="text/csv").body.decode()
    rows = list(csv.DictReader(io.StringIO(body, newline="")))
    assert len(rows) == len(HOSTILE)
    for row, name in zip(rows, HOSTILE, strict=True):
        defused = f"'{name}" if name not in HOSTILE[-2:] else name
        assert row["name"] == defused
        assert not row["attendee"].lstrip().startswith(("=", "+", "-", "@", "\uff1d"))
    assert [row["name"] for row in report(script).json["attendees"]] == HOSTILE, "JSON needs no defusing"


HIDDEN = [
    "x;=cmd|' /C calc'!A0;y",
    "x; =1+1",
    'x;"=1+1',
    "x,+1",
    "x\u2028@SUM(A1)",
    "x;\u200b-1",
    ";;=1",
    "=1;=2",
    "x;';=1",
]


def test_part_of_a_hostile_name_stays_text_in_csv(script, at):
    for number, name in enumerate(HIDDEN):
        script.deliver(stay(at, f"c{number}", number, number + 1, who=f"p{number}", name=name))
    text = report(script, Accept="text/csv").body.decode()
    assert len(report(script).json["attendees"]) == len(HIDDEN)
    for part in re.split("[;,|\t\r\n\v\f\u2028\u2029]", text):
        # As a spreadsheet reads a cell: around quotes and blanks.
        assert not re.match('["\\s\u200b]*[=+@-]', part), part
    names = [row["name"] for row in csv.DictReader(io.StringIO(text, newline=""))]
    assert names[0] == "x;'=cmd|' /C calc'!A0;y"
