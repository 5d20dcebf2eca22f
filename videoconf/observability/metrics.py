"""Prometheus metrics of the service: counted in this process's memory, and added up over the processes of a server.

Counting never touches a file, so that metrics can neither fail nor delay a request; see
:mod:`videoconf.observability.shared`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

# prometheus_client decides when it is imported: with this variable it would count in memory-mapped files of that
# folder, where a folder that is gone fails each request and a full disk ends the process (SIGBUS).
_OF_OTHERS = {
    name: os.environ.pop(name)
    for name in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")
    if name in os.environ
}
from prometheus_client import (  # noqa: E402  # after the variable is gone
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST  # noqa: E402

os.environ.update(_OF_OTHERS)

from videoconf.breaker import BreakerState  # noqa: E402
from videoconf.observability.shared import SharedMetrics, Snapshot, merge  # noqa: E402
from videoconf.providers.http import CallOutcome  # noqa: E402

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0)

REQUESTS = Histogram(
    "videoconf_request_seconds",
    "Requests answered, and how long each took.",
    ("method", "route", "status"),
    buckets=SECONDS,
)
PROVIDER_CALLS = Histogram(
    "videoconf_provider_call_seconds",
    "Calls to providers by outcome (ok, or the error's code), retries included.",
    ("provider", "operation", "outcome"),
    buckets=SECONDS,
)
BREAKER_OPEN = Gauge(
    "videoconf_provider_breaker_open",
    "1 where calls to a provider are not let through by some worker.",
    ("provider",),
)
WEBHOOK_EVENTS = Counter(
    "videoconf_webhook_events",
    "Webhook events by outcome.",
    ("provider", "outcome"),
)
LOG_LINES_LOST = Counter(
    "videoconf_log_lines_lost",
    "Log lines lost, because standard error was not read in time.",
)
JOBS_RUN = Counter("videoconf_jobs_run", "Attempts at jobs by outcome (done, failed, dead).", ("kind", "outcome"))
JOB_THREADS_ENDED = Counter("videoconf_job_threads_ended", "Job threads that ended by an error and were started again.")
JOBS = Gauge("videoconf_jobs", "Jobs by state: due, waiting, dead.", ("state",))
JOB_LAG = Gauge("videoconf_job_lag_seconds", "How long the longest due job has been due.")
EVENTS_PROJECTED = Counter("videoconf_events", "Events written to the log, by type.", ("type",))
EVENT_DELIVERIES = Counter(
    "videoconf_event_deliveries", "Attempts to deliver an event by outcome (succeeded, failed).", ("outcome",)
)
EVENT_PROJECTION_LAG = Gauge(
    "videoconf_event_projection_lag_seconds", "How long the oldest change has waited to become an event."
)
EVENT_DELIVERY_LAG = Gauge(
    "videoconf_event_delivery_lag_seconds", "How long the oldest event waits for a subscription that works."
)
EVENT_SUBSCRIPTIONS = Gauge(
    "videoconf_event_subscriptions", "Subscriptions by state: working, failing, disabled by the service.", ("state",)
)
POOL = Gauge("videoconf_database_connections", "Database connections in use.")

_OURS = (
    REQUESTS,
    PROVIDER_CALLS,
    BREAKER_OPEN,
    WEBHOOK_EVENTS,
    LOG_LINES_LOST,
    JOBS_RUN,
    JOB_THREADS_ENDED,
    JOBS,
    JOB_LAG,
    EVENTS_PROJECTED,
    EVENT_DELIVERIES,
    EVENT_PROJECTION_LAG,
    EVENT_DELIVERY_LAG,
    EVENT_SUBSCRIPTIONS,
    POOL,
)
"""What is added up over processes."""
_GAUGES = {"videoconf_provider_breaker_open": "max", "videoconf_database_connections": "sum"}
"""How the processes' gauges become one; of others, what was measured last counts."""


def observe_call(call: CallOutcome) -> None:
    """Count a call that the guarded client made."""
    PROVIDER_CALLS.labels(call.provider, call.operation, call.outcome).observe(call.seconds)


def observe_breaker(provider: str, state: BreakerState) -> None:
    """Note whether calls to a provider are let through."""
    BREAKER_OPEN.labels(provider).set(state not in (BreakerState.CLOSED, BreakerState.HALF_OPEN))


def snapshot() -> Snapshot:
    """Return the numbers of this process."""
    families = {
        family.name: {
            "type": family.type,
            "help": family.documentation,
            "samples": [
                [one.name, one.labels, one.value] for one in family.samples if not _is_a_time(family, one.name)
            ],
        }
        for metric in _OURS
        for family in metric.collect()
    }
    return {"at": time.time(), "families": families}


def _is_a_time(family: Metric, sample: str) -> bool:
    """Return whether a sample says when counting began, which is of no use once processes are added up."""
    return family.type != "gauge" and sample.endswith("_created")


def exposition(shared: SharedMetrics | None = None) -> bytes:
    """Return all metrics as Prometheus reads them: those of all processes, or of this one alone."""
    if shared is None:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    registry.register(_Merged(merge(shared.read_fresh(), _GAUGES)))
    return generate_latest(registry)


class _Merged:
    """What :func:`merge` returns, as prometheus_client collects it."""

    def __init__(self, families: dict[str, Any]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for name, family in self._families.items():
            metric = Metric(name, family["help"], family["type"])
            for sample, labels, value in family["samples"]:
                metric.add_sample(sample, labels, value)
            yield metric
