"""Database connections that break while they are idle."""

import pytest
from sqlalchemy import event, text

from videoconf.db.types import db

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def end_all_connections_but_ones_own(app):
    with app.app_context(), db.engine.connect() as connection:
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        # With a time PostgreSQL waits until the process is gone, and with it the connection.
        return connection.execute(text(f"SELECT count(pg_terminate_backend(pid, 10000)) {others}")).scalar_one()


def test_request_avoids_a_connection_that_the_server_closed(make_app, headers):
    served, other = make_app(), make_app()
    client = served.test_client()
    assert client.get("/session", headers=headers()).status_code == 200
    assert end_all_connections_but_ones_own(other) >= 1

    assert client.get("/session", headers=headers()).status_code == 200


def test_connections_closed_at_once_mean_an_unavailable_database(app, client, headers):
    assert client.get("/session", headers=headers()).status_code == 200
    with app.app_context():
        db.engine.dispose()
        event.listen(db.engine, "connect", lambda connection, record: connection.pgconn.finish())
    answer = client.get("/session", headers=headers())
    assert (answer.status_code, answer.json["code"]) == (503, "database_unavailable")
