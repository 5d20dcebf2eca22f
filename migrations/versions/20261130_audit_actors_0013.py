"""the type of an audit entry's actor, and the server's own id of its request; by whose kind an archive is deleted.

Revision: 0013
Follows: 0010
Made: 2026-11-30 08:40:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Without a value for entries that exist: what wrote them is not known for certain, and is not made up.
    with op.batch_alter_table("audit_entry") as batch_op:
        batch_op.add_column(sa.Column("actor_type", sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column("server_request_id", sa.String(length=255), nullable=True))
    with op.batch_alter_table("archive") as batch_op:
        batch_op.add_column(sa.Column("deleted_by_type", sa.String(length=255), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("archive") as batch_op:
        batch_op.drop_column("deleted_by_type")
    with op.batch_alter_table("audit_entry") as batch_op:
        batch_op.drop_column("server_request_id")
        batch_op.drop_column("actor_type")
