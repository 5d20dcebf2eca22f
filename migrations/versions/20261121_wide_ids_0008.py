"""ids of 64 bits where rows come with every event.

Revision: 0008
Follows: 0007
Made: 2026-11-21 07:00:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = ("audit_entry", "job", "webhook_event")


def upgrade() -> None:
    alter(sa.BigInteger())


def downgrade() -> None:
    alter(sa.Integer())


def alter(kind: sa.types.TypeEngine) -> None:
    if op.get_bind().dialect.name == "postgresql":  # SQLite's ids have 64 bits
        for table in TABLES:
            op.alter_column(table, "id", type_=kind)
            # It is of the type that the column had when it was made, and would end there.
            op.execute(f"ALTER SEQUENCE {table}_id_seq AS {kind.compile(op.get_bind().dialect)}")
