"""attendance: rosters, erased people, webhooks forgotten by age.

Revision: 0004
Follows: 0003
Made: 2026-11-21 04:00:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

OPEN = sa.text("last_leave IS NULL OR last_join > last_leave")
WITH_BODY = sa.text("body IS NOT NULL")


def upgrade() -> None:
    with op.batch_alter_table("attendee_connection") as batch_op:
        for name in ("missed_on", "absent_on", "erased_on"):
            batch_op.add_column(sa.Column(name, sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index(
            "ix_attendee_connection_open", ["last_evidence"], postgresql_where=OPEN, sqlite_where=OPEN
        )
    with op.batch_alter_table("meeting") as batch_op:
        batch_op.add_column(sa.Column("roster_on", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index(batch_op.f("ix_meeting_start_time"), ["start_time"])
    with op.batch_alter_table("webhook_event") as batch_op:
        batch_op.drop_index(batch_op.f("ix_webhook_event_received_at"))
        batch_op.create_index(
            "ix_webhook_event_body", ["received_at"], postgresql_where=WITH_BODY, sqlite_where=WITH_BODY
        )


def downgrade() -> None:
    with op.batch_alter_table("webhook_event") as batch_op:
        batch_op.drop_index("ix_webhook_event_body", postgresql_where=WITH_BODY, sqlite_where=WITH_BODY)
        batch_op.create_index(batch_op.f("ix_webhook_event_received_at"), ["received_at"])
    with op.batch_alter_table("meeting") as batch_op:
        batch_op.drop_index(batch_op.f("ix_meeting_start_time"))
        batch_op.drop_column("roster_on")
    with op.batch_alter_table("attendee_connection") as batch_op:
        batch_op.drop_index("ix_attendee_connection_open", postgresql_where=OPEN, sqlite_where=OPEN)
        for name in ("erased_on", "absent_on", "missed_on"):
            batch_op.drop_column(name)
