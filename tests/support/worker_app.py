"""A WSGI application for tests of the worker. Environment variables shorten the worker's times, and the open files."""

import os
import resource
import time
from collections.abc import Callable, Iterable
from typing import Any

from videoconf.serving import client_socket, worker

for module in (client_socket, worker):
    for name in vars(module):
        if name.isupper() and name in os.environ:
            setattr(module, name, float(os.environ[name]))
if "OPEN_FILES" in os.environ:
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(os.environ["OPEN_FILES"]),) * 2)


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer by the path: the body of the request, many bytes, a file, or the process after some time."""
    path = environ["PATH_INFO"]
    if path == "/echo":
        body = environ["wsgi.input"].read()
    elif path.startswith("/bytes/"):
        body = bytes(int(path[7:]))
    elif path.startswith("/sleep/"):
        time.sleep(float(path[7:]))
        body = b"slept"
    else:
        body = str(os.getpid()).encode()
    if path == "/file":
        file = open(__file__, "rb")  # noqa: SIM115  # gunicorn closes it
        file.seek(8)
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](file)
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
