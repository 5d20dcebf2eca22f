"""The gunicorn configuration: for ``videoconf serve``, and for the ``gunicorn.conf.py`` of the source tree.

gunicorn's own variables win: PORT, WEB_CONCURRENCY, GUNICORN_CMD_ARGS.
"""

from __future__ import annotations

import gc
import os
import socket
from typing import Any

from videoconf.observability.shared import SharedMetrics

# A request may wait for a provider, so threads share a worker. There are more of them than calls to one provider may
# be under way (VIDEOCONF_PROVIDER_CALL_SLOTS, 36), so that a provider that hangs leaves threads for everything else.
# Database connections are fewer (VIDEOCONF_DATABASE_POOL_SIZE, 8): no thread keeps one while it waits for a provider.
worker_class = "videoconf.serving.BalancedWorker"
threads = 48

# gunicorn's own messages in the service's log, which never waits for its reader.
logger_class = "videoconf.serving.logger.ServiceLogger"

# Open connections of a worker, idle ones included. At the bound it closes those that can be spared. With files and
# connections of its own this stays below 1024 open files, a common limit.
worker_connections = 600

# A worker proves that it lives by touching a file, and on a slow disk that touch itself can stall for too long.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108  # gunicorn makes its file safely

# Two ids at their longest, each of their bytes as three characters, are more than the default allows.
limit_request_line = 8190

# By default a header named SCRIPT_NAME is believed of a client on this machine, and gives routes further forms.
forwarder_headers = ""

# Longer than a proxy in front keeps idle connections, so that it never sends a request into a closing one.
keepalive = 75

# The longest provider call ends within this time; then the worker leaves.
graceful_timeout = 30

# The socket's default path is in the home folder, shared by all servers of a user.
control_socket_disable = True

_metrics = SharedMetrics()

STALLED_SECONDS = 10


def when_ready(server: Any) -> None:
    """Have the kernel drop a client that acknowledges nothing, or accepts no data, for this long (Linux).

    Sockets that are accepted inherit the option from the listener.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    for listener in server.LISTENERS:
        if option is not None and listener.sock.family in (socket.AF_INET, socket.AF_INET6):
            listener.sock.setsockopt(socket.IPPROTO_TCP, option, STALLED_SECONDS * 1000)


def pre_fork(server: Any, worker: Any) -> None:
    """Give a worker a place for its metrics."""
    worker.metrics_slot = _metrics.reserve()


def post_worker_init(worker: Any) -> None:
    """Log that the worker started, serve metrics, and tune the garbage collector.

    What lives as long as the process is excluded from collection, and the rest is collected less often: by default a
    list of fifty rows creates enough objects to start a collection, which took a tenth of its time.
    """
    # Not at the top: the master, which forks the workers, does without the application.
    from videoconf.api.services import EXTENSION, services
    from videoconf.cli.process import log_start, serve_metrics

    app = worker.wsgi
    if EXTENSION in getattr(app, "extensions", ()):  # else another application is served with these settings
        parts = services(app)
        log_start(parts, role="server", workers=worker.cfg.workers, job_threads=parts.settings.embedded_workers)
        serve_metrics(app, _metrics, worker.metrics_slot)
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


def child_exit(server: Any, worker: Any) -> None:
    """Drop the gauges of a worker that is gone; what it counted stays."""
    if worker.metrics_slot is not None:
        _metrics.release(worker.metrics_slot)
    if hasattr(worker, "leave"):
        worker.leave()
