"""What the service tells of itself: logs, metrics, and limits on who may ask how much."""

import json
import logging
import time

import pytest
import urllib3
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update

from tests.support.metrics import free_address, scrape
from videoconf.api.services import services
from videoconf.cli.process import collect_metrics
from videoconf.db.functions import utc_in
from videoconf.db.transactions import write
from videoconf.jobs.models import Job
from videoconf.jobs.queue import MAX_ATTEMPTS, enqueue
from videoconf.jobs.work import Work
from videoconf.observability.logging import configure_logging
from videoconf.providers import StorageDestination
from videoconf.settings import Secret

sqlite_alone = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def samples(text):
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def total(found, name, **labels):
    return sum(
        value for (sample, given), value in found.items() if sample == name and labels.items() <= dict(given).items()
    )


# --- logs -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def lines(capsys):
    def read():
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    return read


@sqlite_alone
def test_each_request_is_one_line_of_json_without_personal_data(lines, client, headers):
    link = json.loads(client.post("/session", headers=headers(tenant="acme")).data)
    lines()
    sent = {**headers(tenant="acme"), "X-Request-ID": "mine-1"}
    client.post(f"/session/{link}/token", headers=sent, json={"attendee": "canary-person", "name": "Canary"})
    [line] = lines()
    assert line.pop("milliseconds") >= 0
    assert line.pop("timestamp").endswith("Z")
    assert len(line.pop("server_request_id")) == 32
    assert line == {
        "logger": "videoconf.access",
        "level": "info",
        "message": "request",
        "request_id": "mine-1",
        "tenant": "acme",
        "meeting_link": link,
        "method": "POST",
        "route": "/session/<string:meeting_link_id>/token",
        "status": 200,
    }


@sqlite_alone
def test_a_line_of_a_library_carries_the_request_it_belongs_to(lines, app, client):
    @app.before_request
    def library():
        logging.getLogger("a.library").warning("something")

    client.get("/healthz", headers={"X-Request-ID": "r-9"})
    assert [line["request_id"] for line in lines() if line["logger"] == "a.library"] == ["r-9"]


def test_repeated_logging_configuration_writes_lines_once(lines):
    configure_logging("INFO", "json")
    configure_logging("INFO", "json")
    logging.getLogger("x").info("once")
    assert [line["message"] for line in lines()] == ["once"]


def test_values_that_json_lacks_are_logged_as_text(lines):
    configure_logging("INFO", "json")
    secret = StorageDestination("kind", {"secret": "canary-in-a-dataclass"})
    logging.getLogger("x").info("half \ud800 of a pair", extra={"large": 2**64, "numbered": {1: 2}, "thing": {3}})
    logging.getLogger("x").info("sent", extra={"to": secret})
    line, sent = lines()
    assert sent["to"] == repr(secret)
    assert "canary" not in sent["to"]
    assert (line["message"], line["large"], line["numbered"]) == ("half \ud800 of a pair", 2**64, {"1": 2})
    assert line["thing"] == "{3}"


class Stream:
    """Stands in for standard error; ``write`` is what it does with a line."""

    def __init__(self, write):
        self.write = write


@sqlite_alone
@pytest.mark.parametrize("fault", [BrokenPipeError(), ValueError("I/O operation on closed file")])
@pytest.mark.parametrize("logger", ["videoconf.access", "a.library"])
def test_a_broken_log_stream_fails_no_request(monkeypatch, app, client, headers, fault, logger):
    def write(line):
        raise fault

    app.before_request(lambda: logging.getLogger(logger).warning("something"))
    monkeypatch.setattr("sys.stderr", Stream(write))
    assert client.get("/session", headers=headers()).status_code == 200


@sqlite_alone
def test_an_added_handler_sees_request_lines(client, headers, caplog):
    client.get("/session", headers=headers(tenant="acme"))
    [record] = [record for record in caplog.records if record.name == "videoconf.access"]
    assert (record.getMessage(), record.status, record.tenant) == ("request", 200, "acme")


@sqlite_alone
def test_text_lines_have_the_fields_of_json_lines(make_app, headers, capsys):
    client = make_app(log_format="text").test_client()
    client.get("/session", headers={**headers(tenant="acme"), "X-Request-ID": "mine-2"})
    [line] = [line for line in capsys.readouterr().err.splitlines() if "mine-2" in line]
    assert all(told in line for told in ("videoconf.access", "request", "status=200", "tenant=acme", "method=GET"))


@sqlite_alone
@pytest.mark.parametrize("style", ["json", "text"])
def test_an_exception_is_logged_without_the_values_of_its_frames(capsys, make_app, style):
    app = make_app(log_format=style)

    @app.before_request
    def broken():
        secret = "-".join(["canary", "in", "a", "frame"])  # noqa: F841  # a value in the frame of the exception
        raise RuntimeError("boom")

    assert app.test_client().get("/healthz").status_code == 500
    told = capsys.readouterr().err
    assert "RuntimeError: boom" in told
    assert "canary-in-a-frame" not in told


@sqlite_alone
def test_answers_in_development_carry_their_duration(make_app):
    answer = make_app(development=True).test_client().get("/healthz")
    assert answer.headers["Server-Timing"].startswith("app;dur=")
    assert "Server-Timing" not in make_app().test_client().get("/healthz").headers


@sqlite_alone
def test_debug_level_shows_only_our_own_lines(lines, make_app):
    make_app(log_level="DEBUG")
    logging.getLogger("a.library").debug("Authorization: canary")
    logging.getLogger("videoconf.x").debug("ours")
    assert [line["message"] for line in lines() if line["level"] == "debug"] == ["ours"]


# --- metrics --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_metrics_of_three_workers_add_up_to_the_requests_sent(gunicorn_server, headers):
    address = free_address()
    server = gunicorn_server(workers=3, VIDEOCONF_METRICS_BIND=address)
    http = urllib3.PoolManager(maxsize=1)
    for _ in range(60):
        assert http.request("GET", f"{server.url}/session", headers={**headers(), "Connection": "close"}).status == 200
    for _ in range(5):
        assert http.request("POST", f"{server.url}/session", headers=headers()).status == 200
    assert http.request("GET", f"{server.url}/metrics", headers=headers()).status == 404
    for number in range(3):
        http.request(f"INVENTED{number}", f"{server.url}/session")
    http.request("POST", f"{server.url}/webhooks/session", body=b"{}")
    found = samples(scrape(address))
    assert total(found, "videoconf_request_seconds_count", method="GET", route="/session", status="200") == 60
    assert total(found, "videoconf_request_seconds_count", method="POST", route="/session", status="200") == 5
    assert total(found, "videoconf_request_seconds_count", route="(none)", status="404") == 1
    assert total(found, "videoconf_request_seconds_count", method="(other)") == 3, "each would be a series for ever"
    assert "INVENTED" not in str(found)
    assert total(found, "videoconf_webhook_events_total", provider="fake", outcome="rejected") == 1
    assert total(found, "videoconf_database_connections") >= 0
    assert ("videoconf_job_lag_seconds", ()) in found
    assert server.log.count("metrics are served on") == 1


@sqlite_alone
def test_the_queue_is_measured(app, client):
    with app.app_context(), write() as session:
        enqueue(session, "later", {}, delay_seconds=3600)
        enqueue(session, "overdue", {}, delay_seconds=-90)
        buried = enqueue(session, "buried", {})
        session.execute(update(Job).where(Job.id == buried).values(state="dead"))
    found = samples(collect_metrics(app).decode())
    assert {state: total(found, "videoconf_jobs", state=state) for state in ("due", "waiting", "dead")} == {
        "due": 1,
        "waiting": 1,
        "dead": 1,
    }
    assert 89 < total(found, "videoconf_job_lag_seconds") < 200


def test_job_that_kills_its_worker_is_not_retried_forever(app):
    with app.app_context():
        jobs = services(app).jobs
        jobs.declare(Work("poison", lambda payload: pytest.fail("tried again")))
        with write() as session:
            enqueue(session, "poison", {})
        for _ in range(MAX_ATTEMPTS):
            claimed = jobs.claim()
            assert claimed is not None
            with write() as session:  # the worker died, and its lease with it
                session.execute(update(Job).where(Job.id == claimed.id).values(lease_until=utc_in(-1)))
        jobs.run_due()
        assert jobs.measure().by_state["dead"] == 1


# --- limits ---------------------------------------------------------------------------------------------------------


@sqlite_alone
def test_rate_limit_applies_to_one_tenant_alone(make_app, headers):
    client = make_app(rate_limit="3/minute").test_client()
    statuses = [client.get("/session", headers=headers(tenant="a")).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    refused = client.get("/session", headers=headers(tenant="a"))
    assert refused.json["code"] == "rate_limited"
    # The rest of the minute, rounded up to whole seconds, at most half as much again.
    assert 1 <= int(refused.headers["Retry-After"]) <= 1.5 * 61 + 1
    assert client.get("/session", headers=headers(tenant="b")).status_code == 200
    assert client.get("/healthz").status_code == 200


@sqlite_alone
def test_rate_limit_counts_over_any_60_seconds(make_app, headers, monkeypatch):
    client, sent, now, past = make_app(rate_limit="2/minute").test_client(), headers(), time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: now() + past[0])
    statuses = []
    for past[0] in (0, 50, 61, 62):
        statuses.append(client.get("/session", headers=sent).status_code)
    assert statuses == [200, 200, 200, 429]


@sqlite_alone
def test_an_address_without_a_token_has_a_limit_of_its_own(make_app, headers):
    client = make_app(rate_limit_address="2/minute", trusted_proxies=1).test_client()

    def ask(address):
        return client.post("/webhooks/session", headers={"X-Forwarded-For": address}).status_code

    assert [ask("192.0.2.1") for _ in range(3)] == [401, 401, 429]
    assert ask("192.0.2.2") == 401
    probe = client.get("/healthz", headers={"X-Forwarded-For": "192.0.2.1"})
    assert probe.status_code == 200, "probes are not limited"
    assert client.get("/session", headers=headers()).status_code == 200, "who has a token is not limited by address"


@sqlite_alone
def test_refused_requests_count_towards_the_limit(make_app, headers):
    client = make_app(rate_limit="2/minute", rate_limit_address="3/minute").test_client()

    def ask(**sent):
        return client.get("/session", headers=sent).status_code

    assert [ask(Authorization="Bearer a.b.c"), ask(), ask(), ask(), ask(Authorization="Bearer a.b.c")] == [
        *[401] * 3,
        *[429] * 2,
    ]
    poor = headers(())
    assert [ask(**poor), ask(**poor), ask(**poor)] == [403, 403, 429]
    assert ask(**headers(tenant="another")) == 200


@sqlite_alone
def test_forwarded_headers_of_untrusted_clients_are_ignored(make_app):
    client = make_app(rate_limit_address="2/minute").test_client()

    def ask(address):
        return client.post("/webhooks/session", headers={"X-Forwarded-For": address}).status_code

    assert [ask(f"192.0.2.{number}") for number in range(3)] == [401, 401, 429]


@sqlite_alone
def test_process_counts_requests_while_redis_is_down(make_app, headers):
    client = make_app(rate_limit="2/minute", rate_limit_storage=Secret("redis://127.0.0.1:1/0")).test_client()
    statuses = [client.get("/session", headers=headers()).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


@sqlite_alone
def test_only_listed_origins_are_allowed(make_app, headers):
    preflight = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    open_to = make_app(cors_origins=("https://app.example",)).test_client()
    allowed = open_to.options("/session", headers=preflight)
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://app.example"
    answer = open_to.get("/session", headers={**headers(), "Origin": "https://app.example"})
    assert "X-Request-ID" in answer.headers["Access-Control-Expose-Headers"]
    for origin in (
        "https://evil.example",
        "https://app.example.evil.net",
        "https://appzexample",
        "https://app.example:1",
    ):
        other = {**preflight, "Origin": origin}
        assert "Access-Control-Allow-Origin" not in open_to.options("/session", headers=other).headers
    assert "Access-Control-Allow-Origin" not in make_app().test_client().options("/session", headers=preflight).headers
