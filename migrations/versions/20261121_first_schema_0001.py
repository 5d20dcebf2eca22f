"""first schema.

Revision: 0001
Follows: nothing
Made: 2026-11-21 03:31:04.098280+00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant", sa.String(length=255), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("action", sa.String(length=255), nullable=False),
        sa.Column("meeting_link", sa.String(length=255), nullable=True),
        sa.Column("target", sa.String(length=255), nullable=True),
        sa.Column("before", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("after", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("request_id", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
    )
    with op.batch_alter_table("audit_entry") as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_entry_tenant_id"), ["tenant", "id"])
        batch_op.create_index(batch_op.f("ix_audit_entry_tenant_meeting_link_id"), ["tenant", "meeting_link", "id"])

    op.create_table(
        "job",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=255), nullable=False),
        sa.Column("payload", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("state", sa.String(length=255), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_owner", sa.String(length=255), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_on", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    with op.batch_alter_table("job") as batch_op:
        batch_op.create_index(batch_op.f("ix_job_state_due_at"), ["state", "due_at"])

    op.create_table(
        "meeting",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("meeting_link", sa.String(length=255), nullable=False),
        sa.Column("tenant", sa.String(length=255), nullable=False),
        sa.Column("is_ready", sa.Boolean(), nullable=False),
        sa.Column("provider", sa.String(length=255), nullable=False),
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("session_id", sa.String(length=255), nullable=True),
        sa.Column("is_scheduled", sa.Boolean(), nullable=False),
        sa.Column("schedule_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_archived", sa.Boolean(), nullable=False),
        sa.Column("end_to_end_encryption", sa.Boolean(), nullable=False),
        sa.Column("provider_options", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("upload_target", sa.String(length=255), nullable=True),
        sa.Column("ext_id", sa.String(length=255), nullable=True),
        sa.Column("ext_metadata", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("modified_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("modified_by", sa.String(length=255), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("deleted_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_by", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meeting")),
        sa.UniqueConstraint("meeting_link", name=op.f("uq_meeting_meeting_link")),
        sa.UniqueConstraint("provider", "account", "session_id", name=op.f("uq_meeting_provider_account_session_id")),
    )
    with op.batch_alter_table("meeting") as batch_op:
        batch_op.create_index(batch_op.f("ix_meeting_tenant_id"), ["tenant", "id"])

    op.create_table(
        "storage_target",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=255), nullable=False),
        sa.Column("configuration", sa.LargeBinary(), nullable=False),
        sa.Column("description", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_storage_target")),
    )
    with op.batch_alter_table("storage_target") as batch_op:
        batch_op.create_index(batch_op.f("ix_storage_target_tenant_state"), ["tenant", "state"])

    op.create_table(
        "webhook_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("provider", sa.String(length=255), nullable=False),
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("channel", sa.String(length=255), nullable=False),
        sa.Column("dedupe_key", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=255), nullable=False),
        sa.Column("session_id", sa.String(length=255), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_event")),
        sa.UniqueConstraint(
            "provider", "account", "dedupe_key", name=op.f("uq_webhook_event_provider_account_dedupe_key")
        ),
    )
    with op.batch_alter_table("webhook_event") as batch_op:
        batch_op.create_index(
            "ix_webhook_event_orphan",
            ["provider", "account", "session_id"],
            postgresql_where=sa.text("status = 'orphan'"),
            sqlite_where=sa.text("status = 'orphan'"),
        )
        batch_op.create_index(batch_op.f("ix_webhook_event_received_at"), ["received_at"])

    op.create_table(
        "archive",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant", sa.String(length=255), nullable=False),
        sa.Column("meeting_id", sa.Integer(), nullable=False),
        sa.Column("provider", sa.String(length=255), nullable=False),
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("archive_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("status", sa.String(length=255), nullable=False),
        sa.Column("provider_status", sa.String(length=255), nullable=False),
        sa.Column("provider_updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("duration_seconds", sa.Integer(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("storage_target_id", sa.Integer(), nullable=True),
        sa.Column("object_key", sa.Text(), nullable=True),
        sa.Column("legal_hold", sa.Boolean(), nullable=False),
        sa.Column("meta_data", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("modified_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_by", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(
            ["meeting_id"], ["meeting.id"], name=op.f("fk_archive_meeting_id_meeting"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["storage_target_id"], ["storage_target.id"], name=op.f("fk_archive_storage_target_id_storage_target")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_archive")),
        sa.UniqueConstraint("provider", "account", "archive_id", name=op.f("uq_archive_provider_account_archive_id")),
    )
    with op.batch_alter_table("archive") as batch_op:
        batch_op.create_index(batch_op.f("ix_archive_meeting_id_created_on_id"), ["meeting_id", "created_on", "id"])
        batch_op.create_index(batch_op.f("ix_archive_tenant_created_on_id"), ["tenant", "created_on", "id"])

    op.create_table(
        "attendee_connection",
        sa.Column("meeting_id", sa.Integer(), nullable=False),
        sa.Column("connection_id", sa.String(length=255), nullable=False),
        sa.Column("attendee", sa.String(length=1000), nullable=True),
        sa.Column("attendee_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("name_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_join", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_join", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_leave", sa.DateTime(timezone=True), nullable=True),
        sa.Column("leave_reason", sa.String(length=255), nullable=True),
        sa.Column("first_activity", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_evidence", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["meeting_id"], ["meeting.id"], name=op.f("fk_attendee_connection_meeting_id_meeting"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("meeting_id", "connection_id", name=op.f("pk_attendee_connection")),
    )
    with op.batch_alter_table("attendee_connection") as batch_op:
        batch_op.create_index(batch_op.f("ix_attendee_connection_attendee"), ["attendee"], postgresql_using="hash")


def downgrade() -> None:
    with op.batch_alter_table("attendee_connection") as batch_op:
        batch_op.drop_index(batch_op.f("ix_attendee_connection_attendee"), postgresql_using="hash")

    op.drop_table("attendee_connection")
    with op.batch_alter_table("archive") as batch_op:
        batch_op.drop_index(batch_op.f("ix_archive_tenant_created_on_id"))
        batch_op.drop_index(batch_op.f("ix_archive_meeting_id_created_on_id"))

    op.drop_table("archive")
    with op.batch_alter_table("webhook_event") as batch_op:
        batch_op.drop_index(batch_op.f("ix_webhook_event_received_at"))
        batch_op.drop_index(
            "ix_webhook_event_orphan",
            postgresql_where=sa.text("status = 'orphan'"),
            sqlite_where=sa.text("status = 'orphan'"),
        )

    op.drop_table("webhook_event")
    with op.batch_alter_table("storage_target") as batch_op:
        batch_op.drop_index(batch_op.f("ix_storage_target_tenant_state"))

    op.drop_table("storage_target")
    with op.batch_alter_table("meeting") as batch_op:
        batch_op.drop_index(batch_op.f("ix_meeting_tenant_id"))

    op.drop_table("meeting")
    with op.batch_alter_table("job") as batch_op:
        batch_op.drop_index(batch_op.f("ix_job_state_due_at"))

    op.drop_table("job")
    with op.batch_alter_table("audit_entry") as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_entry_tenant_meeting_link_id"))
        batch_op.drop_index(batch_op.f("ix_audit_entry_tenant_id"))

    op.drop_table("audit_entry")
