"""Traces by OpenTelemetry, where ``VIDEOCONF_TRACING`` is on: of requests, jobs, and calls of providers, storage, SQL.

The spans are made here and not by instrumentation libraries, whose spans hold whole URLs, addresses of clients, and
error messages in which a database repeats the values of rows. These hold what log lines hold: routes, ids, codes and
durations, and of SQL the statement without its values. Where spans go and which are kept is decided by the standard
``OTEL_…`` variables. Nothing of OpenTelemetry is imported before it is needed.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Engine, event

from videoconf import __version__
from videoconf.errors import ConfigurationError, VideoconfError
from videoconf.observability.log_context import log_context
from videoconf.providers.http import CallOutcome
from videoconf.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanKind
    from opentelemetry.util.types import AttributeValue

ENDED = TypeVar("ENDED", bound=Exception | None)

EXPORTERS = ("otlp", "console")
PROTOCOL = "http/protobuf"
EXPORT_SECONDS = 3.0
"""How long one batch is tried, where no variable says it. A stop waits for two at most, and would for 20 s by
OpenTelemetry's own default: long, each time a node is restarted while its collector is away."""
_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE)\s+\"?(\w+)", re.IGNORECASE)


def tracing_faults(settings: Settings) -> list[str]:
    """Return the faults that prevent tracing when it is enabled, each with its remedy."""
    if not settings.tracing:
        return []
    try:
        for name in ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http.trace_exporter"):
            import_module(name)
    except ImportError:
        return [
            "VIDEOCONF_TRACING is on, and OpenTelemetry is not installed. Run: pip install 'videoconf[otel]',"
            " or unset it."
        ]
    faults = []
    if (exporter := os.environ.get("OTEL_TRACES_EXPORTER", "otlp")) not in EXPORTERS:
        faults.append(f"OTEL_TRACES_EXPORTER is {exporter!r}. Known here: {', '.join(EXPORTERS)}.")
    general = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", PROTOCOL)
    if (protocol := os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", general)) != PROTOCOL:
        faults.append(f"The OTLP protocol is set to {protocol!r}. Spans are sent by {PROTOCOL} alone.")
    return faults


class Tracing:
    """Makes spans and sends them, from a thread of its own, in batches. Thread-safe; goes on after a fork.

    A collector that is away costs nothing but spans: the oldest are dropped once its queue is full.

    :raises ConfigurationError: a variable of OpenTelemetry has a value that it does not take.
    """

    def __init__(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

        console = os.environ.get("OTEL_TRACES_EXPORTER") == "console"
        try:
            resource = Resource.create({"service.version": __version__})
            if str(resource.attributes["service.name"]).startswith("unknown_service"):
                resource = resource.merge(Resource({"service.name": "videoconf"}))
            self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
            exporter = ConsoleSpanExporter() if console else OTLPSpanExporter(timeout=_default_timeout())
            self._provider.add_span_processor(BatchSpanProcessor(exporter))
        except ValueError as error:
            raise ConfigurationError(f"OpenTelemetry refuses its variables: {error}") from error
        self._tracer = self._provider.get_tracer("videoconf", __version__)

    def close(self) -> None:
        """Send what waits. May be called twice; spans that end later are dropped."""
        self._provider.shutdown()

    @contextmanager
    def request(self, headers: Iterable[tuple[str, str]], method: str) -> Iterator[Span]:
        """Enclose a request in a span, which continues the caller's trace where the headers name one."""
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind

        carrier = {name.lower(): value for name, value in headers}
        with self._span(method, SpanKind.SERVER, {"http.request.method": method}, extract(carrier)) as span:
            yield span

    def job(self, kind: str, job_id: int, attempt: int, run: Callable[[], ENDED]) -> ENDED:
        """Run a job in a span. ``run`` returns the error that it ended with."""
        from opentelemetry.trace import SpanKind

        attributes: dict[str, AttributeValue] = {
            "videoconf.job.kind": kind,
            "videoconf.job.id": job_id,
            "videoconf.job.attempt": attempt,
        }
        with self._span(f"job {kind}", SpanKind.CONSUMER, attributes) as span:
            error = run()
            if error is not None:
                self.fail(span, _code(error))
            return error

    def call(self, call: CallOutcome) -> None:
        """Add the span of a provider call that has ended in this thread."""
        from opentelemetry.trace import SpanKind

        ended = time.time_ns()
        attributes: dict[str, AttributeValue] = {
            "videoconf.provider": call.provider,
            "videoconf.provider.operation": call.operation,
            "videoconf.provider.attempts": call.attempts,
            "http.request.method": call.method,
            "server.address": call.host,
        }
        if call.status is not None:
            attributes["http.response.status_code"] = call.status
        span = self._tracer.start_span(
            f"{call.provider} {call.operation}",
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=ended - int(call.seconds * 1e9),
        )
        if call.outcome != "ok":
            self.fail(span, call.outcome)
        span.end(ended)

    @contextmanager
    def storage_call(self, kind: str, operation: str) -> Iterator[None]:
        """Enclose a call of a storage target in a span.

        It names no host and no key: they tell whose bucket it is, and of which meeting the archive.
        """
        from opentelemetry.trace import SpanKind

        attributes: dict[str, AttributeValue] = {"videoconf.storage": kind, "videoconf.storage.operation": operation}
        with self._span(f"{kind} {operation}", SpanKind.CLIENT, attributes) as span:
            try:
                yield
            except BaseException as error:
                self.fail(span, _code(error))
                raise

    def watch(self, engine: Engine) -> None:
        """Make a span of each statement that is part of a trace. A worker's looking for jobs is part of none."""
        from opentelemetry.trace import SpanKind, get_current_span

        system = engine.dialect.name

        @event.listens_for(engine, "before_cursor_execute")
        def begin(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
            if context is not None and get_current_span().is_recording():
                operation = statement.split(None, 1)[0].upper()
                table = _TABLE.search(statement)
                context.videoconf_span = self._tracer.start_span(
                    f"{operation} {table[1]}" if table else operation,
                    kind=SpanKind.CLIENT,
                    attributes={
                        "db.system.name": system,
                        "db.operation.name": operation,
                        "db.query.text": statement,
                    },
                )

        @event.listens_for(engine, "after_cursor_execute")
        def end(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
            if (span := getattr(context, "videoconf_span", None)) is not None:
                span.end()

        @event.listens_for(engine, "handle_error")
        def fail(error: Any) -> None:
            if (span := getattr(error.execution_context, "videoconf_span", None)) is not None:
                original = error.original_exception
                self.fail(span, getattr(original, "sqlstate", None) or type(original).__name__)
                span.end()

    def fail(self, span: Span, code: str) -> None:
        """Mark a span as failed, by a code."""
        from opentelemetry.trace import StatusCode

        span.set_status(StatusCode.ERROR)
        span.set_attribute("error.type", code)

    @contextmanager
    def _span(
        self, name: str, kind: SpanKind, attributes: Mapping[str, AttributeValue], context: Any = None
    ) -> Iterator[Span]:
        """Enclose a block in a span, whose trace the log lines of the block name."""
        from opentelemetry.trace import format_trace_id

        # An exception's text belongs to the log, which redacts it.
        started = self._tracer.start_as_current_span(
            name, context, kind, attributes, record_exception=False, set_status_on_exception=False
        )
        with started as span, log_context(trace_id=format_trace_id(span.get_span_context().trace_id)):
            yield span


def _code(error: BaseException) -> str:
    """Return what names an error and repeats nothing of what it is about."""
    return error.code if isinstance(error, VideoconfError) else type(error).__name__


def _default_timeout() -> float | None:
    given = {"OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"} & os.environ.keys()
    return None if given else EXPORT_SECONDS
