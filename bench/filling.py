"""Years of use for a database on PostgreSQL: meetings that are over, their connections, and their webhooks."""

from sqlalchemy import Connection, text

CONNECTIONS_PER_MEETING = 40

MEETINGS = """
    INSERT INTO meeting (meeting_link, tenant, is_ready, provider, account, session_id, is_scheduled, is_archived,
        end_to_end_encryption, provider_options, created_on, created_by, modified_on, modified_by, deleted)
    SELECT 'old' || n, 'default', true, 'fake', 'fake', 'old' || n, false, false, false, '{}', now(), 'x', now(), 'x',
        false
    FROM generate_series(1, :meetings) AS n
"""
CONNECTIONS = """
    INSERT INTO attendee_connection (meeting_id, connection_id, attendee, attendee_at, first_join, last_join,
        last_leave, last_evidence)
    SELECT id, 'c' || n, 'u' || n, now(), now(), now(), now(), now()
    FROM meeting, generate_series(1, :each) AS n WHERE session_id LIKE 'old%'
    ORDER BY id / 50, n
"""
"""Fifty meetings at a time, whose connections come as they may."""
WEBHOOKS = """
    INSERT INTO webhook_event (provider, account, channel, dedupe_key, kind, status, session_id, received_at)
    SELECT 'fake', 'fake', 'session', 'old' || n, 'joined', 'applied', 'old', now()
    FROM generate_series(1, :rows) AS n
"""


def fill(connection: Connection, connections: int, each: int = CONNECTIONS_PER_MEETING) -> None:
    """Add so many connections, as many webhooks, and the meetings for them, with so many connections each."""
    meetings = connections // each
    connection.execute(text("SET statement_timeout = 0"))
    connection.execute(text(MEETINGS), {"meetings": meetings})
    connection.execute(text(CONNECTIONS), {"each": each})
    connection.execute(text(WEBHOOKS), {"rows": connections})
    connection.execute(text("ANALYZE"))
    connection.execute(text("SET statement_timeout = DEFAULT"))
