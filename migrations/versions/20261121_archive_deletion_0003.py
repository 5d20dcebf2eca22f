"""deletion and reconciliation of archives.

Revision: 0003
Follows: 0002
Made: 2026-11-21 04:05:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("archive") as batch_op:
        batch_op.add_column(sa.Column("check_due_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("deleting_since", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index(batch_op.f("ix_archive_check_due_at"), ["check_due_at"])


def downgrade() -> None:
    with op.batch_alter_table("archive") as batch_op:
        batch_op.drop_index(batch_op.f("ix_archive_check_due_at"))
        batch_op.drop_column("deleting_since")
        batch_op.drop_column("check_due_at")
