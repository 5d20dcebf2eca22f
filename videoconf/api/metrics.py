"""``GET /metrics``: Prometheus. Not to be let through a proxy to the world; it holds no secret and no personal data."""

from __future__ import annotations

from flask import Blueprint, Response

from videoconf.api.authentication import public
from videoconf.api.services import services
from videoconf.db.types import db
from videoconf.errors import DatabaseUnavailable, SchemaNotReady
from videoconf.observability.metrics import CONTENT_TYPE, JOB_LAG, JOBS, POOL, exposition, observe_breaker

blueprint = Blueprint("metrics", __name__)


@blueprint.route("/metrics")
@public("Prometheus, inside the operator's network")
def metrics() -> Response:
    """Expose the metrics; what is a state rather than a count is looked up now."""
    parts = services()
    POOL.set(db.engine.pool.checkedout())  # type: ignore[attr-defined]  # of a QueuePool
    for key, clients in parts.clients.items():
        if (state := clients.find_state()) is not None:
            observe_breaker(key, state.breaker)
    try:
        found = parts.jobs.measure()
    except (DatabaseUnavailable, SchemaNotReady):
        pass  # the other numbers are wanted all the more
    else:
        for state_name, count in found.by_state.items():
            JOBS.labels(state_name).set(count)
        JOB_LAG.set(found.lag_seconds)
    return Response(exposition(), content_type=CONTENT_TYPE)
