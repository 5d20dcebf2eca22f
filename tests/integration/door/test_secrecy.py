"""Codes, seats, tickets and controls stand nowhere but in the answer that gives them, and wrong ones are all alike."""

import logging
import time

import pytest
from sqlalchemy import event, text

from tests.integration.door.steps import come_in, fall_silent, invite, knock, poll, wait, waiting
from tests.support.service import ON_SQLITE, Caller, service_of
from videoconf.api.services import services
from videoconf.db.transactions import read
from videoconf.db.types import Base, db
from videoconf.events.models import Change


@pytest.fixture
def spoken(caplog):
    """Give a function that returns all that was logged, statements with their parameters included."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "sqlalchemy.engine")
    return lambda: caplog.text


def everything(app) -> str:
    """Return all that the database holds, as text."""
    with app.app_context(), read() as session:
        rows = [row for name in Base.metadata.tables for row in session.execute(text(f'SELECT * FROM "{name}"')).all()]
    values = [bytes(value) if isinstance(value, memoryview) else value for row in rows for value in row]
    return "\n".join(map(repr, values))


def test_secrets_are_neither_stored_nor_logged(make_app, headers, spoken):
    app = make_app(log_level="DEBUG", development=True)
    service = service_of(app, headers)
    link = service.api.create()
    code = invite(service.api, link, role="moderator", attendee="host")["code"]
    seated = come_in(service, code)
    asking = invite(service.api, link, admission="ask")["code"]
    admitted, refused = wait(service, asking, name="Ada"), wait(service, asking)
    moderator = Caller(service.send, {"Authorization": f"Control {seated['control']}"})
    for entry, admit in zip(waiting(service, link), (True, False), strict=True):
        assert moderator("POST", f"/session/{link}/lobby/{entry['id']}", {"admit": admit}).status == 204
    assert poll(service, admitted).status == 200
    moderator("POST", f"/session/{link}/bans", {"attendee": "eve"})
    knock(service, code, seat=seated["seat"] + "x")
    wrong = "wrong-code-that-a-person-typed-in"
    knock(service, wrong)
    secrets = {code, asking, admitted, refused, seated["seat"], seated["control"], wrong}
    with app.app_context(), read() as session:
        facts = [change for change in session.query(Change) if change.data is not None]
    assert {"lobby.waiting", "lobby.admitted", "lobby.refused", "attendee.banned"} == {one.part for one in facts}

    for where, said in (("the database", everything(app)), ("the log", spoken())):
        assert link in said, "what is searched holds the meeting"
        for secret in secrets:
            assert secret not in said, where
    later = [
        service.api("GET", path)
        for path in ("/audit", f"/session/{link}/invitations", f"/session/{link}/lobby", "/persons?attendee=host")
    ]
    for answer in later:
        assert answer.status == 200
        assert not any(secret.encode() in answer.body for secret in secrets)


def test_answers_forbid_referrers_and_caching(service):
    code = invite(service.api, service.api.create())["code"]
    for answer in (knock(service, code), service.stranger("POST", "/join/invitation", {"code": code})):
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"


def statements_of(service, call):
    """Make a call; return its answer, and the statements that it ran."""
    with service.app.app_context():
        engine = db.engine
    ran = []

    def note(connection, cursor, statement, *others):
        ran.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    answer = call()
    event.remove(engine, "before_cursor_execute", note)
    return answer, ran


@pytest.fixture
def refusals(service):
    """Give each way in which a code is refused, and what it sends."""
    link = service.api.create()
    used, revoked, seats = (invite(service.api, link, maxUses=2) for _ in range(3))
    for _ in range(2):
        come_in(service, used["code"])
    service.api("DELETE", f"/session/{link}/invitations/{revoked['id']}")
    return {
        "unknown": {"code": "A" * 32},
        "of another shape": {"code": "\u00e9 %00"},
        "used up": {"code": used["code"]},
        "revoked": {"code": revoked["code"]},
        "with a seat of another invitation": {"code": seats["code"], "seat": "A" * 32},
    }


@ON_SQLITE
@pytest.mark.parametrize("path", ["/join", "/join/invitation"])
def test_refused_codes_are_equal_in_wording_and_statements(service, refusals, path):
    answers, counts = {}, {}
    for kind, body in refusals.items():
        answers[kind], counts[kind] = statements_of(service, lambda body=body: service.stranger("POST", path, body))
    assert {answer.problem for answer in answers.values()} == {(404, "invitation_not_found")}
    bodies = [{**answer.json, "requestId": None} for answer in answers.values()]
    assert all(body == bodies[0] for body in bodies)
    names = [sorted(name for name, _ in answer.headers.items()) for answer in answers.values()]
    assert all(one == names[0] for one in names)
    [statement] = counts["unknown"]
    assert all(ran == [statement] for ran in counts.values()), "one look-up decides"


@ON_SQLITE
@pytest.mark.needs("moderator", "the fake", long=True)
def test_refused_tickets_and_controls_are_equal_too(service, app):
    link = service.api.create()
    asking, left = (invite(service.api, link, admission="ask") for _ in range(2))
    revoked, silent = wait(service, asking["code"]), wait(service, left["code"])
    service.api("DELETE", f"/session/{link}/invitations/{asking['id']}")
    fall_silent(app, seconds=61)
    controls = []
    for way in ("revoke", "ban"):
        invitation = invite(service.api, link, role="moderator", attendee=f"host-{way}")
        controls.append(come_in(service, invitation["code"])["control"])
        if way == "revoke":
            service.api("DELETE", f"/session/{link}/invitations/{invitation['id']}")
        else:
            service.api("POST", f"/session/{link}/bans", {"attendee": f"host-{way}"})

    by_control = [
        lambda control=control: service.stranger("GET", f"/session/{link}/lobby", Authorization=f"Control {control}")
        for control in ("A" * 32, *controls)
    ]
    by_ticket = [lambda ticket=ticket: poll(service, ticket) for ticket in ("A" * 32, revoked, silent)]
    for calls, problem in ((by_control, (401, "unauthenticated")), (by_ticket, (404, "ticket_not_found"))):
        seen = [statements_of(service, call) for call in calls]
        assert {answer.problem for answer, _ in seen} == {problem}
        assert len({str({**answer.json, "requestId": None}) for answer, _ in seen}) == 1
        assert {tuple(ran) for _, ran in seen} == {tuple(seen[0][1])}
        assert len(seen[0][1]) == 1


@ON_SQLITE
def test_refused_codes_take_the_same_time(make_app, headers):
    service = service_of(make_app(rate_limit_address="100000/minute"), headers)
    link = service.api.create()
    used = invite(service.api, link, maxUses=1)["code"]
    come_in(service, used)
    codes = {"unknown": "A" * 32, "used up": used}
    best = dict.fromkeys(codes, 1.0)
    for _ in range(150):
        for kind, code in codes.items():
            began = time.perf_counter()
            knock(service, code)
            best[kind] = min(best[kind], time.perf_counter() - began)
    slower, faster = max(best.values()), min(best.values())
    assert slower < faster * 1.25, best


@ON_SQLITE
def test_only_guessed_codes_count_towards_the_limit(make_app, headers):
    service = service_of(make_app(rate_limit_address="5/minute"), headers)
    link = service.api.create()
    used, seat = invite(service.api, link, maxUses=1)["code"], "B" * 32
    come_in(service, used)
    assert {knock(service, used).status for _ in range(20)} == {404}, "a class loads a link again that is used up"
    guesses = [
        lambda: knock(service, "A" * 32),
        lambda: knock(service, used, seat=seat),
        lambda: poll(service, "A" * 32),
        lambda: service.stranger("POST", "/join/invitation", {"code": "A" * 32}),
        lambda: service.stranger("GET", f"/session/{link}/lobby", Authorization=f"Control {seat}"),
    ]
    assert [guess().status for guess in guesses] == [404, 404, 404, 404, 401]
    assert [guess().status for guess in guesses] == [429] * 5
    assert knock(service, used).status == 404
    come_in(service, invite(service.api, link)["code"])


def test_names_are_kept_from_the_audit_trail(service):
    link = service.api.create()
    invite(service.api, link, name="Ada Lovelace", attendee="u-7")
    ticket = wait(service, invite(service.api, link, admission="ask")["code"], name="Grace Hopper")
    [entry] = waiting(service, link)
    service.api("POST", f"/session/{link}/lobby/{entry['id']}", {"admit": True})
    assert poll(service, ticket).status == 200
    entries = str(service.api("GET", f"/audit?meetingLink={link}").json)
    for personal in ("Lovelace", "Hopper", "u-7", entry["attendee"]):
        assert personal not in entries
    assert services(service.app).settings.rate_limit_address == ""
