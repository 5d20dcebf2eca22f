"""bans.

Revision: 0018
Follows: 0017
Made: 2026-11-30 10:35:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "ban",
        sa.Column("id", BIG_ID, sa.Identity(), nullable=False),
        sa.Column("public_id", sa.String(length=255), nullable=False),
        sa.Column("meeting_id", sa.BigInteger(), nullable=False),
        sa.Column("attendee", sa.String(length=1000), nullable=False),
        sa.Column("attendee_key", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=True),
        sa.Column("created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["meeting_id"], ["meeting.id"], name="fk_ban_meeting_id_meeting", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_ban"),
        sa.UniqueConstraint("public_id", name="uq_ban_public_id"),
        sa.UniqueConstraint("meeting_id", "attendee_key", name="uq_ban_meeting_id_attendee_key"),
    )
    with op.batch_alter_table("ban") as batch_op:
        batch_op.create_index("ix_ban_attendee_key", ["attendee_key"])
        batch_op.create_index("ix_ban_meeting_id_id", ["meeting_id", "id"])


def downgrade() -> None:
    op.drop_table("ban")
