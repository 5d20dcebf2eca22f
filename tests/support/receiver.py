"""A receiver of event deliveries: verifies as receivers do, records what came, and answers as a test says."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook


class Receiver:
    """What arrived: documents in order, and the headers of each."""

    def __init__(self, url):
        self.url = url
        self.answer = (204, {}, b"")
        self.delay_seconds = 0.0
        self.on_request = lambda: None
        self.requests = []
        """Time of arrival, headers and body of each."""

    @property
    def events(self):
        return [json.loads(body) for _, _, body in list(self.requests)]

    @property
    def ids(self):
        return [headers["webhook-id"] for _, headers, _ in list(self.requests)]

    def verified(self, secret):
        """Return the events, each verified with a secret by the official library."""
        return [Webhook(secret).verify(body, headers) for _, headers, body in list(self.requests)]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        receiver = self.server.receiver
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        receiver.requests.append((time.monotonic(), headers, body))
        receiver.on_request()
        time.sleep(receiver.delay_seconds)
        status, extra, answer = receiver.answer
        self.send_response(status)
        for name, value in {**extra, "Content-Length": str(len(answer))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass  # a sender that gave up


@contextmanager
def receiver():
    """Run a receiver on this machine."""
    server = Server(("127.0.0.1", 0), Handler)
    server.receiver = Receiver(f"http://127.0.0.1:{server.server_port}/events")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
