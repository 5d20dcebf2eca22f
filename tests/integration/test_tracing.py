"""Traces reach an OpenTelemetry collector: whole, of every worker, and with nothing in them that a log may not hold."""

import functools
import json
import re
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import urllib3
from cryptography.fernet import Fernet
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from sqlalchemy import text

from tests.support.service import ON_POSTGRESQL, ON_SQLITE
from tools.vonage_standin import faults
from videoconf.api.authentication import public
from videoconf.api.services import services
from videoconf.db.transactions import write
from videoconf.errors import ConfigurationError, ProviderTimeout
from videoconf.jobs.queue import enqueue
from videoconf.jobs.work import Work
from videoconf.observability.tracing import EXPORT_SECONDS, tracing_faults
from videoconf.settings import Secret, Settings

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


class Collector:
    """Takes spans by OTLP/HTTP, as a collector does."""

    def __init__(self) -> None:
        self.received: list[ExportTraceServiceRequest] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers["Content-Encoding"] == "gzip":
                    body = zlib.decompress(body, 31)
                assert self.path == "/v1/traces"
                collector.received.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def spans(self) -> list[Span]:
        """All spans that came, in the order of their beginning."""
        found = [
            span
            for request in list(self.received)
            for of_resource in request.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]
        return sorted(found, key=lambda span: span.start_time_unix_nano)

    def wait_for(self, name: str, count: int = 1) -> list[Span]:
        deadline = time.monotonic() + 20
        while len(found := [span for span in self.spans if span.name == name]) < count:
            assert time.monotonic() < deadline, f"only {[span.name for span in self.spans]} came"
            time.sleep(0.02)
        return found

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with closing(Collector()) as collector:
        yield collector


@pytest.fixture
def traced(make_app, collector, monkeypatch):
    """Give a function that makes an application which traces to the collector."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    made = []

    def make(**settings):
        made.append(make_app(tracing=True, **settings))
        return made[-1]

    yield make
    for app in made:
        services(app).closing.close()


def attributes(span):
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def of_trace(collector, span):
    return [one for one in collector.spans if one.trace_id == span.trace_id]


# --- what a trace says ----------------------------------------------------------------------------------------------


def test_a_request_is_a_trace_of_its_statements(traced, collector, headers, database_url):
    client = traced().test_client()
    link = client.post("/session", headers=headers(tenant="acme"), json={}).text.strip('"\n')
    sent = {**headers(tenant="acme"), "X-Request-ID": "mine-1"}
    assert client.get(f"/session/{link}/attendees?active=true", headers=sent).status_code == 200
    [span] = collector.wait_for("GET /session/<string:meeting_link_id>/attendees")
    assert span.kind == Span.SPAN_KIND_SERVER
    assert attributes(span) == {
        "http.request.method": "GET",
        "http.route": "/session/<string:meeting_link_id>/attendees",
        "http.response.status_code": 200,
        "videoconf.request_id": "mine-1",
        "videoconf.tenant": "acme",
    }
    statements = [one for one in of_trace(collector, span) if one is not span]
    assert statements
    for one in statements:
        assert one.parent_span_id == span.span_id
        assert span.start_time_unix_nano <= one.start_time_unix_nano < one.end_time_unix_nano
        assert one.end_time_unix_nano <= span.end_time_unix_nano
        assert attributes(one)["db.system.name"] == database_url.partition(":")[0]
        assert one.name.startswith(attributes(one)["db.operation.name"])
    assert {one.name for one in statements} >= {"SELECT meeting"}
    assert "attendee_connection" in " ".join(attributes(one)["db.query.text"] for one in statements)


@ON_SQLITE
def test_callers_trace_continues_and_log_lines_name_it(traced, collector, headers, capsys):
    client = traced().test_client()
    client.get("/session", headers={**headers(), "traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"})
    [span] = collector.wait_for("GET /session")
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE_ID, "b7ad6b7169203331")
    client.get("/session")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    first, other = (line["trace_id"] for line in lines if line["message"] == "request")
    assert first == TRACE_ID != other
    assert re.fullmatch("[0-9a-f]{32}", other)


@ON_SQLITE
def test_probes_are_not_traced(traced, collector, headers):
    client = traced().test_client()
    for path in ("/healthz", "/readyz", "/session"):
        assert client.get(path, headers=headers()).status_code == 200
    collector.wait_for("GET /session")
    roots = [span.name for span in collector.spans if not span.parent_span_id]
    assert roots == ["GET /session"]


@ON_SQLITE
def test_unsampled_trace_of_the_caller_is_not_sent(traced, collector, headers):
    client = traced().test_client()
    client.get("/session", headers={**headers(), "traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-00"})
    client.get("/session", headers=headers())
    collector.wait_for("GET /session")
    assert TRACE_ID not in {span.trace_id.hex() for span in collector.spans}


@ON_SQLITE
def test_a_provider_call_is_a_span_with_its_outcome(traced, collector, headers, make_vonage_standin, monkeypatch):
    standin = make_vonage_standin("opentok")
    for name, value in {
        "API_URL": standin.url,
        "API_KEY": standin.account,
        "API_SECRET": standin.secret,
        "SIGNATURE_SECRETS": "a-signature-secret-of-more-than-32-bytes",
    }.items():
        monkeypatch.setenv(f"VIDEOCONF_VONAGE_{name}", value)
    client = traced(providers=("vonage",), development=True).test_client()
    assert client.post("/session", headers=headers(), json={}).status_code == 200
    standin.faults.add("POST", "/session/create", faults.error(500))
    assert client.post("/session", headers=headers(), json={}).status_code == 502
    requests = collector.wait_for("POST /session", 2)
    calls = collector.wait_for("vonage session.create", 2)
    assert [call.parent_span_id for call in calls] == [request.span_id for request in requests]
    fine, failed = map(attributes, calls)
    assert fine == {
        "videoconf.provider": "vonage",
        "videoconf.provider.operation": "session.create",
        "videoconf.provider.attempts": 1,
        "http.request.method": "POST",
        "server.address": "127.0.0.1",
        "http.response.status_code": 200,
    }
    assert (failed["http.response.status_code"], failed["error.type"]) == (500, "provider_error")
    assert [one.status.code for one in (*calls, *requests)] == [
        Status.STATUS_CODE_UNSET,
        Status.STATUS_CODE_ERROR,
        Status.STATUS_CODE_UNSET,
        Status.STATUS_CODE_ERROR,
    ]
    assert standin.secret not in str(collector.received)


@ON_SQLITE
def test_job_has_its_own_trace_and_polling_has_none(traced, collector, capsys):
    app = traced()

    def fail(payload):
        with write() as session:
            session.execute(text("SELECT 1"))
        raise ProviderTimeout

    with app.app_context():
        jobs = services(app).jobs
        jobs.declare(Work("doomed", fail))
        with write() as session:
            job_id = enqueue(session, "doomed", {})
        jobs.run_due()
    [span] = collector.wait_for("job doomed")
    assert attributes(span) == {
        "videoconf.job.kind": "doomed",
        "videoconf.job.id": job_id,
        "videoconf.job.attempt": 1,
        "error.type": "provider_timeout",
    }
    assert span.status.code == Status.STATUS_CODE_ERROR
    names = [one.name for one in of_trace(collector, span)]
    assert names[0] == "job doomed"
    assert "SELECT" in names
    assert all(one.trace_id == span.trace_id for one in collector.spans), "a claim was traced"
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    told = {line["trace_id"] for line in lines if "doomed" in line["message"]}
    assert told == {span.trace_id.hex()}


@ON_SQLITE
def test_storage_call_is_a_span_without_its_location(traced, collector, headers, storage_server):
    key = Secret(Fernet.generate_key().decode())
    client = traced(encryption_keys=(key,), development=True).test_client()
    put = functools.partial(client.put, "/archives/storage-target", headers=headers())
    secret = next(name for name in ("secretKey", "accountKey") if name in storage_server.target)
    refused = {**storage_server.target, secret: "d3JvbmctY2FuYXJ5LWtleQ=="}
    assert put(json=storage_server.target).status_code == 200
    assert put(json=refused).status_code == 422
    fine, failed = collector.wait_for("PUT /archives/storage-target", 2)
    kind = "s3" if storage_server.target["name"] == "AWSS3" else "azure"

    def of(request, operation):
        [span] = [one for one in of_trace(collector, request) if one.name == f"{kind} {operation}"]
        return span

    probe = of(fine, "probe")
    assert probe.parent_span_id == fine.span_id
    assert attributes(probe) == {"videoconf.storage": kind, "videoconf.storage.operation": "probe"}
    for operation in ("put", "open", "delete"):
        part = of(fine, operation)
        assert part.parent_span_id == probe.span_id
        assert part.kind == Span.SPAN_KIND_CLIENT
        assert part.status.code == Status.STATUS_CODE_UNSET
    for operation in ("probe", "put"):
        part = of(failed, operation)
        assert part.status.code == Status.STATUS_CODE_ERROR
        assert attributes(part)["error.type"] == "storage_denied"
        assert not part.events
        assert not part.status.message
    told = str(collector.received)
    named = {**storage_server.target, secret: refused[secret]}
    assert not [name for name, value in named.items() if value != "archives" and value in told]
    assert storage_server.secret not in told
    assert "127.0.0.1" not in told
    assert "videoconf-probe" not in told, "the key of an object"


# --- what it does not say -------------------------------------------------------------------------------------------


def test_spans_omit_values_of_persons_and_rows(traced, collector, headers, database_url):
    app = traced()

    @app.get("/tests/fails")
    @public("a test's")
    def fails():
        with write() as session:  # a message of PostgreSQL's repeats the values of the row
            row = "INSERT INTO idempotency_key (tenant, key) VALUES (:tenant, 'canary-key')"
            session.execute(text(row), {"tenant": "canary-tenant"})

    client = app.test_client()
    link = client.post("/session", headers=headers(), json={"extId": "canary-ext"}).text.strip('"\n')
    client.post(f"/session/{link}/token", headers=headers(), json={"attendee": "canary-person", "name": "canary-name"})
    client.get("/session?extId=canary-ext&pageSize=1", headers={**headers(), "User-Agent": "canary-agent"})
    client.get("/nowhere/canary-path?canary=query", headers=headers())
    app.testing = False
    assert client.get("/tests/fails", headers=headers()).status_code >= 500
    [failed] = collector.wait_for("GET /tests/fails")
    assert failed.status.code == Status.STATUS_CODE_ERROR
    [insert] = [one for one in of_trace(collector, failed) if one.name == "INSERT idempotency_key"]
    assert attributes(insert)["error.type"] in ("23502", "IntegrityError")
    assert not insert.events
    assert not insert.status.message
    collector.wait_for("GET")  # the unknown path, which has no route
    told = str(collector.received)
    assert set(re.findall(r"canary[\w-]*", told)) == {"canary-key"}, "the text of a statement alone"
    assert link not in told
    assert headers()["Authorization"].split()[1] not in told
    assert "127.0.0.1" not in told


# --- off, broken, away ----------------------------------------------------------------------------------------------


def test_disabled_tracing_loads_no_library(fake_settings, sqlite_database, tmp_path):
    script = (
        "import sys\n"
        "from videoconf.app import create_app\n"
        "client = create_app().test_client()\n"
        "assert client.get('/readyz').status_code == 200\n"
        "assert client.get('/session').status_code == 401\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'google'))])\n"
    )
    environment = {**fake_settings, "VIDEOCONF_PROVIDERS": "fake", "VIDEOCONF_DATABASE_URL": sqlite_database}
    environment["VIDEOCONF_JWT_SECRETS"] = "a" * 32
    found = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@ON_SQLITE
def test_missing_extra_is_reported_with_its_remedy(make_app, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'videoconf\[otel\]'"):
        make_app(tracing=True)
    assert make_app(tracing=False).test_client().get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin", "'zipkin'"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "http/protobuf"),
    ],
)
def test_unsupported_option_is_reported_at_the_start(monkeypatch, name, value, said):
    monkeypatch.setenv(name, value)
    [fault] = tracing_faults(Settings(tracing=True))
    assert said in fault
    assert tracing_faults(Settings()) == []


@ON_SQLITE
def test_unreachable_collector_delays_no_request(traced, collector, headers, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    app = traced()
    began = time.monotonic()
    for _ in range(20):
        assert app.test_client().get("/session", headers=headers()).status_code == 200
    services(app).closing.close()
    assert time.monotonic() - began < 3 * EXPORT_SECONDS


# --- gunicorn -------------------------------------------------------------------------------------------------------


@ON_POSTGRESQL
@pytest.mark.parametrize("options", ["", "--preload"])
def test_every_worker_sends_its_last_spans_before_it_stops(gunicorn_server, collector, headers, options):
    server = gunicorn_server(
        workers=2,
        GUNICORN_CMD_ARGS=options,
        VIDEOCONF_TRACING="true",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        OTEL_BSP_SCHEDULE_DELAY="60000",  # what comes before the end comes because of the end
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
        VIDEOCONF_TENANT_SLOW_READS="0",  # a busy machine's first reads are slow, and one that is refused is sent again
    )

    def ask(_):
        sent = {**headers(), "Connection": "close"}  # so that both workers get some
        return urllib3.request("GET", f"{server.url}/session", headers=sent, timeout=20).status

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(60))) == {200}
    for path in ("healthz", "readyz"):
        assert urllib3.request("GET", f"{server.url}/{path}").status == 200
    assert collector.spans == []
    assert server.terminate() == 0
    spans = collector.spans
    assert len([span for span in spans if span.name == "GET /session"]) == 60
    assert len({span.span_id for span in spans}) == len(spans), "workers make different ids"
    assert {span.name for span in spans if not span.parent_span_id} == {"GET /session"}
    resources = [attributes(one.resource) for request in collector.received for one in request.resource_spans]
    assert {one["service.name"] for one in resources} == {"videoconf"}
    assert {one["deployment.environment.name"] for one in resources} == {"test"}
