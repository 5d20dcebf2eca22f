"""A client that reads slowly holds memory and a connection of its own, and no connection to the database."""

import socket
import time
from contextlib import closing

import pytest
import urllib3
from werkzeug.test import EnvironBuilder

from tests.support.filling import fill_meeting
from tests.support.service import ON_POSTGRESQL
from videoconf.attendance import queries
from videoconf.db.types import db

CONNECTIONS, LONGER_IDS = 10_000, 900
"""A list of 11 MB, more than the kernel and the service hold for a client."""

PATHS = [
    "/session",
    "/session/{link}",
    "/session/{link}/attendees",
    "/session/{link}/attendees?limit=2",
    "/session/{link}/attendance",
    "/attendance",
    "/archives",
    "/audit",
    "/jobs",
    "/webhook-events",
    "/persons?attendee=u-1",
]


@pytest.mark.parametrize("accept", ["application/json", "text/csv"])
@pytest.mark.parametrize("path", PATHS)
def test_answer_is_written_without_a_database_connection(app, service, headers, monkeypatch, path, accept):
    monkeypatch.setattr(queries, "LOADED_AT_ONCE", 1)  # lists beyond this size are read row by row
    link = service.api.create()
    for number in range(4):
        service.join(link, attendee=f"u-{number}")
    service.deliver()
    with app.app_context():
        pool = db.engine.pool
    environ = EnvironBuilder(path.format(link=link), headers={**headers(), "Accept": accept}).get_environ()
    statuses = []
    body = app.wsgi_app(environ, lambda status, *others: statuses.append(status))
    lent = [pool.checkedout()]
    with closing(body):
        lent += [pool.checkedout() for _ in body]
    assert statuses[0][:3] in ("200", "406", "422"), statuses
    assert len(lent) > 1
    assert set(lent) == {0}


@ON_POSTGRESQL
def test_clients_that_read_nothing_leave_the_database_to_others(gunicorn_server, headers, database_url):
    server = gunicorn_server(threads=16, VIDEOCONF_DATABASE_POOL_SIZE="2", VIDEOCONF_TENANT_SLOW_READS="0")
    link = urllib3.request("POST", f"{server.url}/session", headers=headers()).json()
    fill_meeting(database_url, link, CONNECTIONS, longer_ids=LONGER_IDS)
    host, port = server.url.removeprefix("http://").split(":")
    head = f"GET /session/{link}/attendees HTTP/1.1\r\nHost: {host}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers().items())
    clients = []
    try:
        for _ in range(3):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(30)
            client.connect((host, int(port)))
            clients.append(client)
            client.sendall(f"{head}\r\n".encode())
            assert client.recv(16).startswith(b"HTTP/1.1 200")  # the answer is under way, and nothing more is read
        began = time.monotonic()
        for _ in range(10):
            assert urllib3.request("GET", f"{server.url}/session/{link}", headers=headers()).status == 200
        assert time.monotonic() - began < 5.0
    finally:
        for client in clients:
            client.close()
