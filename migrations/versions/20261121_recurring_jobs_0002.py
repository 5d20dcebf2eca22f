"""recurring jobs.

Revision: 0002
Follows: 0001
Made: 2026-11-21 03:55:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("job") as batch_op:
        batch_op.add_column(sa.Column("key", sa.String(length=255), nullable=True))
        batch_op.create_unique_constraint(batch_op.f("uq_job_key"), ["key"])


def downgrade() -> None:
    with op.batch_alter_table("job") as batch_op:
        batch_op.drop_constraint(batch_op.f("uq_job_key"), type_="unique")
        batch_op.drop_column("key")
