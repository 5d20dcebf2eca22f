"""A tenant at full load on its slowest reads: the others are served, and soon."""

import threading
import time

import pytest
import urllib3
from sqlalchemy import create_engine, text

from tests.support.service import ON_POSTGRESQL, at_once
from videoconf.api import slow_reads
from videoconf.db.engine import driver_url
from videoconf.db.transactions import statements

CLIENTS = 24
CONNECTIONS = 30_000


def fill(database_url, link):
    engine = create_engine(driver_url(database_url))
    with engine.begin() as connection:
        connection.execute(
            text("""
            INSERT INTO attendee_connection (meeting_id, connection_id, attendee, attendee_at, first_join, last_join,
                last_leave, last_evidence)
            SELECT id, 'c' || n, 'u' || n, now(), now(), now(), now(), now()
            FROM meeting, generate_series(1, :count) AS n WHERE meeting_link = :link
            """),
            {"count": CONNECTIONS, "link": link},
        )
    engine.dispose()


def measure(url, headers, count):
    """Return statuses and the times of a number of small reads, one after another."""
    statuses, times = set(), []
    with urllib3.PoolManager(retries=False, timeout=30) as pool:
        for _ in range(count):
            began = time.monotonic()
            statuses.add(pool.request("GET", url, headers=headers).status)
            times.append(time.monotonic() - began)
            time.sleep(0.02)
    return statuses, sorted(times)


@pytest.mark.long
@ON_POSTGRESQL
def test_slow_reads_of_one_tenant_refuse_no_other_tenant(gunicorn_server, headers, database_url):
    server = gunicorn_server(workers=2, threads=48)
    acme, other = headers(tenant="acme"), headers(tenant="other")
    link, small = (urllib3.request("POST", f"{server.url}/session", headers=who).json() for who in (acme, other))
    fill(database_url, link)
    _, alone = measure(f"{server.url}/session/{small}", other, 100)
    over, found = threading.Event(), []

    def load():
        with urllib3.PoolManager(retries=False, timeout=60) as pool:
            while not over.is_set():
                answer = pool.request("GET", f"{server.url}/session/{link}/attendance", headers=acme)
                found.append(answer.status)
                if answer.status != 200:
                    time.sleep(0.2)

    clients = [threading.Thread(target=load) for _ in range(CLIENTS)]
    for one in clients:
        one.start()
    time.sleep(4)
    statuses, times = measure(f"{server.url}/session/{small}", other, 150)
    over.set()
    for one in clients:
        one.join()
    assert statuses == {200}
    assert 200 in found, "the reports are given, too"
    assert set(found) <= {200, 429, 503}
    print(
        "alone", alone[98], "beside", times[len(times) // 2], times[-2], {one: found.count(one) for one in set(found)}
    )
    assert times[-2] < 1.0


@pytest.fixture
def slow_list(app, monkeypatch):
    """Let the list of meetings take as long as the test wants; give the control."""
    monkeypatch.setattr(slow_reads, "SLOW_SECONDS", 0.1)
    monkeypatch.setattr(slow_reads, "WAIT_SECONDS", 0.2)
    control = threading.Event()
    control.inside = 0

    @app.before_request
    def delay():
        from flask import request

        if request.path == "/session" and request.headers.get("X-Slow"):
            control.inside += 1
            control.wait(2)
            time.sleep(0.15)
            control.inside -= 1

    return control


def test_reads_that_became_slow_run_a_few_at_a_time(service, slow_list, headers):
    slow_list.set()
    for _ in range(2):
        assert service.api("GET", "/session", X_Slow="1").status == 200
    slow_list.clear()
    threads = [threading.Thread(target=service.api, args=("GET", "/session"), kwargs={"X_Slow": "1"}) for _ in range(2)]
    for one in threads:
        one.start()
    deadline = time.monotonic() + 5
    while slow_list.inside < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    answers = at_once([lambda: service.api("GET", "/session")] * 3)
    assert {one.problem for one in answers} == {(429, "too_many_slow_reads")}
    assert answers[0].headers["Retry-After"]
    # Other operations of the tenant, and the same one of another tenant, are served.
    assert service.api.create()
    assert service.caller_with(tenant="other")("GET", "/session").status == 200
    slow_list.set()
    for one in threads:
        one.join()
    assert service.api("GET", "/session").status == 200
    assert {one.status for one in at_once([lambda: service.api("GET", "/session")] * 8)} == {200}, "it is quick again"


def test_tenant_leaves_database_connections_to_others(app, service):
    """A tenant that holds all the connections that it may waits for one of them, and others do not."""
    from videoconf import shares

    held, over = [], threading.Event()

    def hold():
        shares.tenant.set("default")
        with app.app_context(), statements():
            held.append(True)
            over.wait(20)

    threads = [threading.Thread(target=hold) for _ in range(6)]
    for one in threads:
        one.start()
    deadline = time.monotonic() + 5
    while len(held) < 6:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    try:
        assert service.caller_with(tenant="other")("GET", "/session").status == 200
        assert service.api("GET", "/session").problem == (503, "database_busy")
        assert service.stranger("GET", "/readyz").status == 200
    finally:
        over.set()
        for one in threads:
            one.join()
    assert service.api("GET", "/session").status == 200
