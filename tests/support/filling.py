"""Meetings with more connections than a test could join, written into PostgreSQL at once."""

from sqlalchemy import create_engine, text

from videoconf.db.urls import driver_url


def fill_meeting(database_url: str, link: str, connections: int, *, longer_ids: int = 0) -> None:
    """Give a meeting so many connections, each of another person, who are gone.

    :param longer_ids: by how many characters the people's ids are longer than they need to be.
    """
    engine = create_engine(driver_url(database_url))
    with engine.begin() as connection:
        connection.execute(
            text("""
            INSERT INTO attendee_connection (meeting_id, connection_id, attendee, attendee_at, first_join, last_join,
                last_leave, last_evidence)
            SELECT id, 'c' || n, 'u' || n || repeat('-', :longer), now(), now(), now(),
                now(), now()
            FROM meeting, generate_series(1, :count) AS n WHERE meeting_link = :link
            """),
            {"count": connections, "link": link, "longer": longer_ids},
        )
    engine.dispose()
