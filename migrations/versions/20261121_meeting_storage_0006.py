"""the storage target that a meeting's session was created with.

Revision: 0006
Follows: 0005
Made: 2026-11-21 04:38:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("meeting") as batch_op:
        batch_op.add_column(sa.Column("storage_target_id", sa.Integer(), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_meeting_storage_target_id_storage_target"), "storage_target", ["storage_target_id"], ["id"]
        )


def downgrade() -> None:
    with op.batch_alter_table("meeting") as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_meeting_storage_target_id_storage_target"), type_="foreignkey")
        batch_op.drop_column("storage_target_id")
