"""Metrics, scraped as Prometheus does."""

import socket
import threading
import time
import urllib.request


def free_address() -> str:
    """Return an address that is free at this moment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def scrape(address: str, *, timeout_seconds: float = 20.0) -> str:
    """Return the metrics that are served on an address, waiting until they are."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
                assert answer.headers["Content-Type"].startswith("text/plain")
                return str(answer.read().decode())
        except OSError:
            assert time.monotonic() < deadline, f"no metrics on {address}"
            threading.Event().wait(0.1)
