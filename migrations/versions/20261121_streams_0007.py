"""the media streams of connections.

Revision: 0007
Follows: 0006
Made: 2026-11-21 06:15:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "attendee_stream",
        sa.Column("meeting_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("connection_id", sa.String(length=255), nullable=False),
        sa.Column("stream_id", sa.String(length=255), nullable=False),
        sa.Column("last_published", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_gone", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["meeting_id", "connection_id"],
            ["attendee_connection.meeting_id", "attendee_connection.connection_id"],
            name=op.f("fk_attendee_stream_meeting_id_connection_id_attendee_connection"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("meeting_id", "connection_id", "stream_id", name=op.f("pk_attendee_stream")),
    )


def downgrade() -> None:
    op.drop_table("attendee_stream")
