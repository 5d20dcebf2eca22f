"""where archives may be: providers of a target, copies that were begun; an index by age.

Revision: 0009
Follows: 0008
Made: 2026-11-21 07:15:00+00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
KEPT = sa.text("deleted_on IS NULL AND deleting_since IS NULL")
UNCOPIED = sa.text("status = 'available' AND object_key IS NULL AND deleted_on IS NULL AND deleting_since IS NULL")


def upgrade() -> None:
    # Which providers know of an earlier target is unknown: setting the target again records it.
    with op.batch_alter_table("storage_target") as batch_op:
        batch_op.add_column(sa.Column("used_by", JSON, nullable=True))
    with op.batch_alter_table("archive") as batch_op:
        batch_op.add_column(sa.Column("begun_copies", JSON, nullable=True))
        batch_op.create_index("ix_archive_kept", ["created_on"], postgresql_where=KEPT, sqlite_where=KEPT)
        batch_op.create_index(
            "ix_archive_uncopied", ["tenant", "created_on"], postgresql_where=UNCOPIED, sqlite_where=UNCOPIED
        )


def downgrade() -> None:
    with op.batch_alter_table("archive") as batch_op:
        batch_op.drop_index("ix_archive_uncopied", postgresql_where=UNCOPIED, sqlite_where=UNCOPIED)
        batch_op.drop_index("ix_archive_kept", postgresql_where=KEPT, sqlite_where=KEPT)
        batch_op.drop_column("begun_copies")
    with op.batch_alter_table("storage_target") as batch_op:
        batch_op.drop_column("used_by")
