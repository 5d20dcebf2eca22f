"""The bare limits: Flask views that do one thing each, with no permission, validation, error handling or logging.

They are what the machine, the server and the driver allow; the service is measured against them in the same run.
"""

import os
import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager

import jwt
import psycopg
from flask import Flask, jsonify, request

SECRET = os.environ["BENCH_JWT_SECRET"]
COLUMNS = "id, meeting_link, session_id, is_scheduled, schedule_time, start_time, end_time, created_by"

app = Flask(__name__)
_idle: "queue.LifoQueue[psycopg.Connection | None]" = queue.LifoQueue()
for _ in range(int(os.environ["BENCH_POOL_SIZE"])):
    _idle.put(None)


@contextmanager
def connection() -> Iterator[psycopg.Connection]:
    """Lend a pooled connection: opened when it is first used, which is after the server has forked."""
    one = _idle.get()
    try:
        one = one or psycopg.connect(os.environ["BENCH_DATABASE_URL"], autocommit=True)
        yield one
    finally:
        _idle.put(one)


def verify_and_sign() -> str:
    """Check a bearer token and sign another: what giving a token takes at least."""
    claims = jwt.decode(
        request.headers["Authorization"][7:], SECRET, algorithms=["HS256"], issuer="videoconf", audience="videoconf"
    )
    now = int(time.time())
    return jwt.encode({"sub": claims["sub"], "iat": now, "exp": now + 7200, "session": "x" * 60}, SECRET, "HS256")


@app.get("/hello")
def hello():
    return jsonify(ok=True)


@app.get("/healthz")
def healthz():
    return jsonify(ok=True)


@app.route("/select/<link>", methods=["GET", "POST"])
def select(link: str):
    token = verify_and_sign()
    with connection() as one:
        row = one.execute(f"SELECT {COLUMNS} FROM meeting WHERE meeting_link = %s", (link,)).fetchone()
    return jsonify(sessionId=row[2], token=token)


@app.post("/insert")
def insert():
    token = verify_and_sign()
    with connection() as one:  # in autocommit, which is the least an INSERT with its COMMIT takes
        one.execute(
            "INSERT INTO bench_event (session_id, connection_id, attendee) VALUES (%s, %s, %s)",
            ("fs_" + "y" * 32, "fc_" + "z" * 16, "attendee"),
        )
    return jsonify(token=token)
