"""How gunicorn serves the application. Its own variables win: PORT, WEB_CONCURRENCY, GUNICORN_CMD_ARGS."""

import gc
import os
import shutil
import socket
import tempfile

# A request may wait for a provider, so threads share a worker. There are more of them than calls to one provider may
# be under way (VIDEOCONF_PROVIDER_CALL_SLOTS, 32), so that a provider that hangs leaves threads for everything else.
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

# By default a header named SCRIPT_NAME or PATH_INFO is believed of a client on this machine: routes would have further forms.
forwarder_headers = ""

# Longer than a proxy in front keeps idle connections, so that it never sends a request into a closing one.
keepalive = 75

# The longest provider call ends within this time; then the worker leaves.
graceful_timeout = 30

# The socket's default path is in the home folder, shared by all servers of a user.
control_socket_disable = True

# Workers add their metrics up through files in a folder of this server's own. It is named before the application is
# imported, because that is when the metrics library looks.
_metrics = os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", tempfile.mkdtemp(prefix="videoconf-metrics-"))

STALLED_SECONDS = 10


def when_ready(server):
    """Have the kernel drop a client that acknowledges nothing, or accepts no data, for this long (Linux).

    Sockets that are accepted inherit the option from the listener.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    for listener in server.LISTENERS:
        if option is not None and listener.sock.family in (socket.AF_INET, socket.AF_INET6):
            listener.sock.setsockopt(socket.IPPROTO_TCP, option, STALLED_SECONDS * 1000)


def post_worker_init(worker):
    """Exclude what lives as long as the process from garbage collection, and collect less often.

    By default a list of fifty rows creates enough objects to start a collection, which took a tenth of its time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


def child_exit(server, worker):
    """Drop the gauges of a worker that is gone; what it counted stays."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)
    if hasattr(worker, "leave"):
        worker.leave()


def on_exit(server):
    shutil.rmtree(_metrics, ignore_errors=True)
