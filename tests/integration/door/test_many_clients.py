"""However many come at once, an invitation gives as many first tokens as it has uses."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.door.steps import come_in, invite, knock, poll, wait, waiting
from tests.support.service import over_http, service_at

CLIENTS = 200
USES = 20


@pytest.mark.needs("the fake", long=True)
def test_200_clients_behind_one_address_get_exactly_20_tokens(gunicorn_server, headers, tmp_path):
    nodes = [gunicorn_server(threads=8, VIDEOCONF_RATE_LIMIT_ADDRESS=None) for _ in range(2)]  # the default limit
    with ExitStack() as stack:
        services = [stack.enter_context(service_at(node.url, tmp_path / "fake.sqlite", headers)) for node in nodes]
        link = services[0].api.create()
        code = invite(services[0].api, link, maxUses=USES)["code"]
        sends = [stack.enter_context(over_http(node.url)) for node in nodes]
        body = f'{{"code": "{code}"}}'.encode()
        with ThreadPoolExecutor(32) as pool:
            answers = list(
                pool.map(
                    lambda number: sends[number % 2]("POST", "/join", body, {"Content-Type": "application/json"}),
                    range(CLIENTS),
                )
            )
        statuses = [answer.status for answer in answers]
        assert (statuses.count(200), statuses.count(404)) == (USES, CLIENTS - USES)
        admitted = [answer.json for answer in answers if answer.status == 200]
        for secret in ("token", "seat", "attendee"):
            assert len({one[secret] for one in admitted}) == USES
        for number, one in enumerate(admitted):  # each reloads at the other node
            again = come_in(services[number % 2], code, seat=one["seat"])
            assert again["attendee"] == one["attendee"]
        assert knock(services[1], "A" * 32).status == 404, "the limit has counted no known code"


Step = st.one_of(
    st.just("come"),
    st.just("ask"),
    st.tuples(st.just("reload"), st.integers(0, 9)),
    st.tuples(st.just("poll"), st.integers(0, 9)),
    st.tuples(st.just("admit"), st.integers(0, 9)),
    st.tuples(st.just("refuse"), st.integers(0, 9)),
    st.just("at once"),
)


@pytest.mark.parametrize("threads", [3])
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=max(12, settings().max_examples // 5)
)
@given(uses=st.integers(1, 4), steps=st.lists(Step, min_size=4, max_size=14))
def test_uses_and_seats_add_up_whatever_the_interleaving(service, threads, uses, steps):
    """Follow one invitation by a model: persons by their secret, and how many first tokens there were."""
    link = service.api.create()
    # Both ways of admission by one invitation would need two; so they share nothing, and each has its own count.
    ways = {way: invite(service.api, link, maxUses=uses, admission=way) for way in ("open", "ask")}
    persons: dict[str, dict[str, str]] = {"open": {}, "ask": {}}
    tickets: list[str] = []
    entries: dict[str, str] = {}
    refused: set[str] = set()

    def note(way, answer):
        if answer.status == 200:
            person = persons[way].setdefault(answer.json["seat"], answer.json["attendee"])
            assert person == answer.json["attendee"], "a seat is one person"
        assert len(persons[way]) <= uses
        assert len(set(persons[way].values())) == len(persons[way]), "a person has one seat"

    for step in steps:
        kind, number = step if isinstance(step, tuple) else (step, 0)
        if kind == "come":
            answer = knock(service, ways["open"]["code"])
            assert answer.status == (200 if len(persons["open"]) < uses else 404)
            note("open", answer)
        elif kind == "at once":
            with ThreadPoolExecutor(threads) as pool:
                for answer in list(pool.map(lambda _: knock(service, ways["open"]["code"]), range(threads))):
                    note("open", answer)
            assert len(persons["open"]) == uses or len(persons["open"]) >= min(uses, threads)
        elif kind == "ask" and len(persons["ask"]) < uses:
            tickets.append(wait(service, ways["ask"]["code"]))
            newest = next(one["id"] for one in waiting(service, link) if one["id"] not in entries.values())
            entries[tickets[-1]] = newest
        elif kind == "reload" and persons["open"]:
            seat = sorted(persons["open"])[number % len(persons["open"])]
            answer = knock(service, ways["open"]["code"], seat=seat)
            assert answer.status == 200
            note("open", answer)
        elif kind in ("admit", "refuse") and tickets:
            ticket = tickets[number % len(tickets)]
            path = f"/session/{link}/lobby/{entries[ticket]}"
            answer = service.api("POST", path, {"admit": kind == "admit"})
            if answer.status == 204 and kind == "refuse":
                refused.add(ticket)
        elif kind == "poll" and tickets:
            ticket = tickets[number % len(tickets)]
            answer = poll(service, ticket)
            assert answer.status == 403 if ticket in refused else answer.status in (200, 202, 404)
            note("ask", answer)
    for way, invitation in ways.items():
        read = service.api("GET", f"/session/{link}/invitations/{invitation['id']}").json
        assert read["uses"] == len(persons[way]) <= uses
