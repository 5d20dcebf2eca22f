"""Prometheus metrics of the service. Under several gunicorn workers they add up, through files that these share.

prometheus_client decides when it is imported: with ``PROMETHEUS_MULTIPROC_DIR`` in the environment
(``videoconf.gunicorn_config`` sets it) the numbers are those of all workers, else of this process.
"""

from __future__ import annotations

import os

from prometheus_client import REGISTRY as _OWN
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from videoconf.providers.breaker import BreakerState
from videoconf.providers.http import CallOutcome

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
    multiprocess_mode="livemax",
)
WEBHOOK_EVENTS = Counter(
    "videoconf_webhook_events", "Events of webhooks by what became of them.", ("provider", "outcome")
)
JOBS_RUN = Counter("videoconf_jobs_run", "Attempts at jobs by outcome (done, failed, dead).", ("kind", "outcome"))
JOB_THREADS_ENDED = Counter("videoconf_job_threads_ended", "Job threads that ended by an error and were started again.")
JOBS = Gauge("videoconf_jobs", "Jobs by state: due, waiting, dead.", ("state",), multiprocess_mode="mostrecent")
JOB_LAG = Gauge(
    "videoconf_job_lag_seconds", "How long the longest due job has been due.", multiprocess_mode="mostrecent"
)
POOL = Gauge("videoconf_database_connections", "Database connections in use.", multiprocess_mode="livesum")


def observe_call(call: CallOutcome) -> None:
    """Count a call that the guarded client made."""
    PROVIDER_CALLS.labels(call.provider, call.operation, call.outcome).observe(call.seconds)


def observe_breaker(provider: str, state: BreakerState) -> None:
    """Note whether calls to a provider are let through."""
    BREAKER_OPEN.labels(provider).set(state not in (BreakerState.CLOSED, BreakerState.HALF_OPEN))


def exposition() -> bytes:
    """Return all metrics as Prometheus reads them."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(_OWN)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # has no annotations
    return generate_latest(registry)
