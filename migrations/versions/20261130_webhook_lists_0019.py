"""lists of webhook events, of jobs and of lobbies; an event knows its meeting's tenant.

Revision: 0019
Follows: 0018
Made: 2026-11-30 20:40:00+00:00
"""

import sqlalchemy as sa
from alembic import op
from videoconf_migrations.online import add_column, create_index, drop_index, for_each_range

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

PLACE = """
    UPDATE webhook_event SET
        tenant = coalesce((
            SELECT meeting.tenant FROM meeting
            WHERE meeting.provider = webhook_event.provider AND meeting.account = webhook_event.account
            AND meeting.session_id = webhook_event.session_id
        ), '')
    WHERE id BETWEEN :first AND :last AND tenant IS NULL
"""
OF_SESSION = ["provider", "account", "session_id"]
IN_ORDER = ["status", "received_at", "id"]


def upgrade() -> None:
    add_column("webhook_event", sa.Column("tenant", sa.String(length=255), nullable=True))
    # Before its indexes: each would take part in every change.
    for_each_range("webhook_event", "id", PLACE)
    create_index("ix_webhook_event_unplaced", "webhook_event", ["id"], where="tenant IS NULL")
    create_index("ix_webhook_event_waiting", "webhook_event", OF_SESSION, where="tenant = ''")
    for column in ("tenant", "session_id"):
        create_index(f"ix_webhook_event_{column}_status_received_at_id", "webhook_event", [column, *IN_ORDER])
    drop_index("ix_webhook_event_session_id", "webhook_event")
    create_index("ix_job_state_id", "job", ["state", "id"])
    create_index("ix_lobby_entry_meeting_id_state_id", "lobby_entry", ["meeting_id", "state", "id"])
    drop_index("ix_lobby_entry_meeting_id_id", "lobby_entry")


def downgrade() -> None:
    create_index("ix_lobby_entry_meeting_id_id", "lobby_entry", ["meeting_id", "id"])
    drop_index("ix_lobby_entry_meeting_id_state_id", "lobby_entry")
    drop_index("ix_job_state_id", "job")
    create_index("ix_webhook_event_session_id", "webhook_event", ["session_id"], postgresql_using="hash")
    for column in ("session_id", "tenant"):
        drop_index(f"ix_webhook_event_{column}_status_received_at_id", "webhook_event")
    drop_index("ix_webhook_event_waiting", "webhook_event")
    drop_index("ix_webhook_event_unplaced", "webhook_event")
    with op.batch_alter_table("webhook_event") as batch_op:
        batch_op.drop_column("tenant")
