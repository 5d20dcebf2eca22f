"""refused webhooks; why an event is quarantined; a meeting's webhook events by an index.

Revision: 0010
Follows: 0009
Made: 2026-11-30 07:20:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhook_refusal",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("provider", sa.String(length=255), nullable=False),
        sa.Column("channel", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_refusal"),
    )
    with op.batch_alter_table("webhook_refusal") as batch_op:
        batch_op.create_index("ix_webhook_refusal_provider_id", ["provider", "id"])
    with op.batch_alter_table("webhook_event") as batch_op:
        batch_op.add_column(sa.Column("reason", sa.String(length=255), nullable=True))
        batch_op.create_index("ix_webhook_event_session_id", ["session_id"], postgresql_using="hash")


def downgrade() -> None:
    with op.batch_alter_table("webhook_event") as batch_op:
        batch_op.drop_index("ix_webhook_event_session_id", postgresql_using="hash")
        batch_op.drop_column("reason")
    op.drop_table("webhook_refusal")
