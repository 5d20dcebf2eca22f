"""Every offered filter and order of a list is served by an index, whatever its column's values are."""

from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import event, insert, make_url, text

from bench.offered_lists import LISTS, next_path
from bench.skewed import BEGIN, TABLES, fill
from tests.support.service import ON_POSTGRESQL, ON_SQLITE
from videoconf.db.transactions import read, write
from videoconf.db.types import db
from videoconf.meetings.models import Meeting

READ_FOR_A_PART = 700
"""Rows and index entries: 51 of the list, of its meetings by their keys, and of their newest archives; besides, what a
step from meeting to meeting takes."""
READ_FOR_A_TOTAL = 45_000
"""A total is counted up to 10,000; by attendee with a step for each."""


@pytest.fixture
def app_options():
    return {"database_pool_size": 1}


def database_name(database_url):
    return make_url(database_url).database


def read_by(app, ask):
    """Return how many rows and index entries PostgreSQL reads for what is asked."""
    before = counters(app)
    ask()
    return counters(app) - before


def counters(app):
    """Return the server's counts, once the application's only connection has reported its own."""
    with app.app_context():
        with read() as session:
            session.execute(text("SELECT pg_stat_force_next_flush()"))
        with read() as session:
            found = session.execute(
                text(
                    "SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname = ANY(:tables))"
                    " + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes)"
                ),
                {"tables": list(TABLES)},
            )
            return int(found.scalar_one())


@ON_POSTGRESQL
@pytest.mark.parametrize(
    ("plans", "rows"),
    [
        ("force_generic_plan", 20_000),
        pytest.param("force_custom_plan", 20_000, marks=pytest.mark.long),
        pytest.param("force_generic_plan", 1_000_000, marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
    ],
)
def test_each_offered_list_reads_no_more_than_its_part(app, api, service, database_url, plans, rows):
    """Plans that know no values are what a prepared statement has, and the values may be those of most rows."""
    small = service.caller_with(tenant="small")
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
        fill(connection, rows)
        connection.execute("VACUUM ANALYZE")
        connection.execute(f"ALTER DATABASE {database_name(database_url)} SET plan_cache_mode = {plans}")
    with app.app_context():
        db.engine.dispose()  # connections from here on plan in this mode
    excesses = {}

    def ask(caller, path, most):
        answers = []
        read = read_by(app, lambda: answers.append(caller("GET", path)))
        assert answers[0].status == 200, answers[0]
        if read > most:
            excesses[path, caller is small] = read
        return answers[0]

    for one in LISTS:
        for path in one.paths(rows):
            has_bound = "From=" in path or "To=" in path
            if one.of_tenant:
                ask(small, f"{path}&limit=50", READ_FOR_A_PART)
            behind = next_path(f"{path}&limit=50", ask(api, f"{path}&limit=50", READ_FOR_A_PART))
            if behind is not None and (has_bound or "sort=" not in path):
                ask(api, behind, READ_FOR_A_PART)
            if one.has_pages and not has_bound and "sort=created" not in path and plans == "force_generic_plan":
                ask(api, f"{path}&page=1", READ_FOR_A_TOTAL)
    # A step that began at the bound, and not behind its predecessor, would take longer than a statement may.
    middle = (BEGIN + timedelta(seconds=rows // 2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for steps in (f"sort=-created&createdTo={middle}", f"sort=created&createdFrom={middle}"):
        ask(api, f"/session?attendee=guest&{steps}&page=1", READ_FOR_A_TOTAL)
    assert excesses == {}


@pytest.mark.parametrize(
    "path",
    [
        "/session?createdTo={bound}",
        "/session?sort=-scheduled&scheduledTo={bound}",
        "/session?sort=scheduled&scheduledFrom={early}",
        "/session?sort=created&createdFrom={early}",
        "/audit?until={bound}",
    ],
)
def test_part_behind_a_position_does_not_begin_at_the_bound(app, api, path):
    """PostgreSQL begins at the first condition on a column, and would read all rows from the bound to the position."""
    for _ in range(3):
        api.create(isScheduled=True, scheduleTime="2100-01-31T09:30:00Z")
    path = path.format(bound="2111-11-11T11:11:11Z", early="2001-01-01T01:01:01Z")
    first = api("GET", f"{path}&limit=1")
    asked = []
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *args: asked.append(str(args[3])))
    second = api("GET", f"{path}&limit=1&cursor={first.headers['X-Next-Cursor']}")
    assert (first.status, second.status) == (200, 200)
    assert first.json != second.json
    assert "2111" not in str(asked)
    assert "2001" not in str(asked)


@ON_SQLITE
def test_each_offered_list_is_searched_and_not_sorted_on_sqlite(app, api):
    statements = []

    def note(connection, cursor, statement, parameters, context, executemany):
        statements.append((statement, parameters))

    for name in ("m1", "m2", "m100"):
        add_meeting(app, name)
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", note)
    for path in (path for one in LISTS for path in one.paths(200) if "deliveries" not in path):
        statements.clear()
        assert api("GET", f"{path}&limit=50").status == 200
        plans = [plan_of(app, *one) for one in statements if one[0].startswith(("SELECT", "WITH"))]
        lines = [line for plan in plans for line in plan if line.startswith("SCAN") and line.split()[1] in READ]
        assert lines == (["SCAN job"] if path == "/jobs?" else []), (path, plans)  # in the order of its ids


def add_meeting(app, link):
    values = {"is_scheduled": False, "is_archived": False, "end_to_end_encryption": False, "provider_options": {}}
    who = {"tenant": "default", "created_by": "x", "modified_by": "x", "is_ready": True}
    session = {"provider": "fake", "account": "fake", "session_id": f"s-{link}"}
    with app.app_context(), write() as transaction:
        transaction.execute(insert(Meeting).values(meeting_link=link, **values, **who, **session))


def plan_of(app, statement, parameters):
    with app.app_context(), db.engine.connect() as connection:
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]


READ = {*TABLES, "meeting_1", "meeting_2"}


@ON_SQLITE
@pytest.mark.parametrize(
    "query",
    [
        "/session?extId=a&provider=fake",
        "/session?extId=a&status=open",
        "/session?attendee=a&status=open",
        "/session?attendee=a&sort=scheduled",
        "/session?scheduledFrom=2026-01-01T00:00:00Z",
        "/session?sort=scheduled&createdTo=2026-01-01T00:00:00Z",
        "/archives?meetingLink=a&sessionId=b",
        "/audit?actor=a&action=b",
    ],
)
def test_other_combination_names_those_that_work(api, query):
    answer = api("GET", query)
    assert answer.problem == (422, "filter_combination")
    named = {"/session": "extId", "/archives": "sessionId", "/audit": "actor"}[query.partition("?")[0]]
    assert "These work: no filter" in answer.json["detail"]
    assert named in answer.json["detail"]
