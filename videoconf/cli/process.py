"""What each process of a deployment does at its start: log one line, and serve its metrics."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from sqlalchemy import make_url

from videoconf import __version__
from videoconf.api.keys import key_ids
from videoconf.api.services import Services, services
from videoconf.db.types import db
from videoconf.errors import DatabaseUnavailable, SchemaNotReady
from videoconf.events.measure import measure
from videoconf.observability.listener import MetricsListener
from videoconf.observability.metrics import (
    EVENT_DELIVERY_LAG,
    EVENT_PROJECTION_LAG,
    EVENT_SUBSCRIPTIONS,
    JOB_LAG,
    JOBS,
    POOL,
    exposition,
    observe_breaker,
    snapshot,
)
from videoconf.observability.shared import SharedMetrics

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
            "key_ids": key_ids(parts.settings),
        },
    )


def serve_metrics(app: Flask, shared: SharedMetrics | None = None, slot: int | None = None) -> MetricsListener | None:
    """Serve this process's metrics, or those of all processes of its server, where the settings ask for it.

    :param shared: where the processes of this server publish theirs, this one in its slot.
    """
    parts = services(app)
    address = parts.settings.metrics_bind
    if not address or parts.settings.development:
        return None
    if shared is not None and slot is None:
        return None  # of more processes than can share their metrics, this one does not

    def publish() -> None:
        with app.app_context():
            measure_process(parts)
        if shared is not None and slot is not None:
            shared.publish(slot, snapshot())

    def collect() -> bytes:
        with app.app_context():
            measure_queue(parts)
        publish()
        return exposition(shared)

    others: dict[str, Any] = {} if shared is None else {"is_our_turn": shared.is_our_turn, "asked_at": shared.asked_at}
    listener = MetricsListener(address, sample=publish, collect=collect, **others)
    listener.start()
    return listener


def collect_metrics(app: Flask) -> bytes:
    """Return the metrics of this process as Prometheus reads them; what is a state is measured now."""
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
        found, log = parts.jobs.measure(), measure()
    except (DatabaseUnavailable, SchemaNotReady):
        return
    for state_name, count in found.by_state.items():
        JOBS.labels(state_name).set(count)
    JOB_LAG.set(found.lag_seconds)
    EVENT_PROJECTION_LAG.set(log.projection_lag_seconds)
    EVENT_DELIVERY_LAG.set(log.delivery_lag_seconds)
    for state_name, count in log.subscriptions.items():
        EVENT_SUBSCRIPTIONS.labels(state_name).set(count)
