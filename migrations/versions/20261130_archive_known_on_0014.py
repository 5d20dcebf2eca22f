"""when the service learned of an archive, by its own clock.

Revision: 0014
Follows: 0013
Made: 2026-11-30 08:50:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("archive", sa.Column("known_on", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("archive") as batch_op:
        batch_op.drop_column("known_on")
