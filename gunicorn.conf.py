"""How gunicorn serves the application. Its own variables win: PORT, WEB_CONCURRENCY, GUNICORN_CMD_ARGS."""

import os

# A request may wait for a provider, so threads share a worker; a pooled database connection for each is enough.
worker_class = "gthread"
threads = 16

# A worker proves that it lives by touching a file, and on a slow disk that touch itself can stall for too long.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108

# Longer than a proxy in front keeps idle connections, so that it never sends a request into a closing one.
keepalive = 75

# The longest provider call ends within this time; then the worker leaves.
graceful_timeout = 30

# The socket's default path is in the home folder, shared by all servers of a user.
control_socket_disable = True
