"""What each process of a deployment does at its start: log one line, and serve its metrics."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import make_url

from videoconf import __version__
from videoconf.api.services import Services, services
from videoconf.db.types import db
from videoconf.errors import DatabaseUnavailable, SchemaNotReady
from videoconf.observability.listener import MetricsListener
from videoconf.observability.metrics import JOB_LAG, JOBS, POOL, exposition, observe_breaker

if TYPE_CHECKING:
    from flask import Flask

logger = logging.getLogger(__name__)


def log_start(parts: Services, *, role: str, workers: int, job_threads: int) -> None:
    """Log what this process is made of.

    :param role: ``server`` or ``worker``.
    :param workers: processes of this server.
    """
    logger.info(
        "videoconf started",
        extra={
            "release": __version__,
            "role": role,
            "providers": list(parts.settings.providers),
            "storage_kinds": sorted(parts.targets.kinds),
            "database": make_url(parts.settings.database_url.reveal()).get_backend_name(),
            "workers": workers,
            "job_threads": job_threads,
            "public_url": parts.settings.public_url,
        },
    )


def serve_metrics(app: Flask) -> MetricsListener | None:
    """Serve this process's metrics, or those of all processes of its server, where the settings ask for it."""
    parts = services(app)
    address = parts.settings.metrics_bind
    if not address or parts.settings.development:
        return None

    def sample() -> None:
        with app.app_context():
            measure_process(parts)

    listener = MetricsListener(address, sample=sample, collect=partial(collect_metrics, app))
    listener.start()
    return listener


def collect_metrics(app: Flask) -> bytes:
    """Return all metrics as Prometheus reads them; what is a state rather than a count is measured now."""
    parts = services(app)
    with app.app_context():
        measure_process(parts)
        measure_queue(parts)
    return exposition()


def measure_process(parts: Services) -> None:
    """Set the gauges of this process's own state."""
    POOL.set(db.engine.pool.checkedout())  # type: ignore[attr-defined]  # of a QueuePool
    for key, clients in parts.clients.items():
        if (state := clients.find_state()) is not None:
            observe_breaker(key, state.breaker)


def measure_queue(parts: Services) -> None:
    """Set the gauges of the queue, unless the database cannot say: the other metrics matter even more then."""
    try:
        found = parts.jobs.measure()
    except (DatabaseUnavailable, SchemaNotReady):
        return
    for state_name, count in found.by_state.items():
        JOBS.labels(state_name).set(count)
    JOB_LAG.set(found.lag_seconds)
