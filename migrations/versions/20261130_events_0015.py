"""the log of events, its changes, and subscriptions with their deliveries.

Revision: 0015
Follows: 0014
Made: 2026-11-30 10:25:00+00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
TIME = sa.DateTime(timezone=True)
INDEXES = {
    "event_part": [("silent_since", ["silent_since"], "silent_since IS NOT NULL")],
    "event": [
        ("tenant_position", ["tenant", "position"], None),
        ("tenant_type_position", ["tenant", "type", "position"], None),
        ("tenant_meeting_link_position", ["tenant", "meeting_link", "position"], None),
        ("at", ["at"], None),
    ],
    "event_subscription": [
        ("tenant_id", ["tenant", "id"], None),
        ("behind", ["served_on"], "newest > position AND is_enabled"),
        ("retry_at", ["retry_at"], "retry_at IS NOT NULL AND is_enabled"),
    ],
    "event_delivery": [
        ("subscription_id_id", ["subscription_id", "id"], None),
        ("subscription_id_status_id", ["subscription_id", "status", "id"], None),
        ("due", ["subscription_id", "next_attempt_at"], "status = 'pending'"),
        ("created_on", ["created_on"], None),
        ("position", ["position"], None),
    ],
}


def upgrade() -> None:
    op.create_table(
        "change",
        sa.Column("id", BIG_ID, sa.Identity(), nullable=False),
        sa.Column("meeting_id", sa.BigInteger(), nullable=False),
        sa.Column("part", sa.String(length=300), nullable=False),
        sa.Column("data", JSON, nullable=True),
        sa.Column("noted_on", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_change"),
    )
    op.create_table(
        "event_log",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("pruned", sa.BigInteger(), nullable=False),
        sa.Column("projector", sa.String(length=255), nullable=True),
        sa.Column("projector_until", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_event_log"),
    )
    op.execute("INSERT INTO event_log (id, position, pruned) VALUES (1, 0, 0)")
    op.create_table(
        "event_part",
        sa.Column("meeting_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("part", sa.String(length=300), nullable=False),
        sa.Column("data", JSON, nullable=True),
        sa.Column("attendee_part", sa.String(length=80), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("has_started", sa.Boolean(), nullable=True),
        sa.Column("silent_since", TIME, nullable=True),
        sa.PrimaryKeyConstraint("meeting_id", "part", name="pk_event_part"),
    )
    op.create_table(
        "event",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("tenant", sa.String(length=255), nullable=False),
        sa.Column("meeting_link", sa.String(length=255), nullable=False),
        sa.Column("ext_id", sa.String(length=255), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_event"),
        sa.UniqueConstraint("id", name="uq_event_id"),
    )
    op.create_table(
        "event_subscription",
        sa.Column("id", BIG_ID, sa.Identity(), nullable=False),
        sa.Column("public_id", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=255), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("types", JSON, nullable=True),
        sa.Column("meeting_link", sa.String(length=255), nullable=True),
        sa.Column("description", sa.String(length=255), nullable=True),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_reason", sa.String(length=255), nullable=True),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("newest", sa.BigInteger(), nullable=False),
        sa.Column("failing_since", TIME, nullable=True),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("retry_at", TIME, nullable=True),
        sa.Column("served_on", TIME, nullable=True),
        sa.Column("lease_owner", sa.String(length=255), nullable=True),
        sa.Column("lease_until", TIME, nullable=True),
        sa.Column("created_on", TIME, nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("modified_on", TIME, nullable=False),
        sa.Column("modified_by", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_event_subscription"),
        sa.UniqueConstraint("public_id", name="uq_event_subscription_public_id"),
    )
    op.create_table(
        "event_delivery",
        sa.Column("id", BIG_ID, sa.Identity(), nullable=False),
        sa.Column("subscription_id", BIG_ID, nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempt_count", sa.BigInteger(), nullable=False),
        sa.Column("attempts", JSON, nullable=False),
        sa.Column("next_attempt_at", TIME, nullable=True),
        sa.Column("created_on", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_event_delivery"),
        sa.UniqueConstraint("subscription_id", "event_id", name="uq_event_delivery_subscription_id_event_id"),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["event_subscription.id"],
            name="fk_event_delivery_subscription_id_event_subscription",
            ondelete="CASCADE",
        ),
    )
    for table, indexes in INDEXES.items():
        for name, columns, where in indexes:
            condition = {} if where is None else {"postgresql_where": sa.text(where), "sqlite_where": sa.text(where)}
            op.create_index(f"ix_{table}_{name}", table, columns, **condition)


def downgrade() -> None:
    for table in ("event_delivery", "event_subscription", "event", "event_part", "event_log", "change"):
        op.drop_table(table)
