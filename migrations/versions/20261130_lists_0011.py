"""lists that are filtered, sorted and walked: their indexes; a connection knows its meeting's tenant and age.

Revision: 0011
Follows: 0010
Made: 2026-11-30 08:10:00+00:00
"""

import sqlalchemy as sa
from alembic import op
from videoconf_migrations.online import add_column, create_index, drop_index, for_each_range, is_postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

LISTED = "is_ready AND NOT deleted"
UNENDED = f"{LISTED} AND end_time IS NULL"
HAS_STATUS = {
    "scheduled": f"{UNENDED} AND is_scheduled AND start_time IS NULL",
    "open": f"{UNENDED} AND (NOT is_scheduled OR start_time IS NOT NULL)",
    "ended": f"{LISTED} AND end_time IS NOT NULL",
    "deleted": "is_ready AND deleted",
}
BY_BYTES = {"postgresql_ops": {"ext_id": "varchar_pattern_ops"}}
AUDITED = (["at"], ["meeting_link", "at"], ["actor", "at"], ["action", "at"])
ARCHIVES = {
    "listed": (["created_on"], "deleted_on IS NULL"),
    "status": (["status", "created_on"], "coalesce(deleting_since, deleted_on) IS NULL"),
    "deleting": (["created_on"], "deleted_on IS NULL AND deleting_since IS NOT NULL"),
}
PLACE = """
    UPDATE attendee_connection SET
        tenant = (SELECT tenant FROM meeting WHERE meeting.id = meeting_id),
        meeting_created_on = (SELECT created_on FROM meeting WHERE meeting.id = meeting_id)
    WHERE meeting_id BETWEEN :first AND :last AND attendee_connection.tenant IS NULL
"""


def meeting_indexes():
    """Give name, columns, condition and options of each index of the list of meetings."""
    for order, column in (("created", "created_on"), ("scheduled", "schedule_time")):
        has_time = "" if order == "created" else " AND schedule_time IS NOT NULL"
        yield order, [column], LISTED + has_time, {}
        yield f"provider_{order}", ["provider", column], LISTED + has_time, {}
        yield f"ext_id_{order}", ["ext_id", column], f"{LISTED}{has_time} AND ext_id IS NOT NULL", BY_BYTES
        for status, condition in HAS_STATUS.items():
            yield f"{status}_{order}", [column], condition + has_time, {}


def upgrade() -> None:
    add_column("attendee_connection", sa.Column("tenant", sa.String(length=255), nullable=True))
    add_column("attendee_connection", sa.Column("meeting_created_on", sa.DateTime(timezone=True), nullable=True))
    create_index("ix_attendee_connection_unplaced", "attendee_connection", ["meeting_id"], where="tenant IS NULL")
    for_each_range("attendee_connection", "meeting_id", PLACE)
    person = sa.text("md5(attendee)" if is_postgresql() else "attendee")
    create_index(
        "ix_attendee_connection_person",
        "attendee_connection",
        [person, "tenant", "meeting_created_on", "meeting_id"],
        where="attendee IS NOT NULL",
    )
    drop_index("ix_attendee_connection_attendee", "attendee_connection")
    for name, columns, where, options in meeting_indexes():
        create_index(f"ix_meeting_{name}", "meeting", ["tenant", *columns, "id"], where=where, **options)
    create_index("ix_meeting_session", "meeting", ["tenant", "session_id"], where="session_id IS NOT NULL")
    for name, (columns, where) in ARCHIVES.items():
        create_index(f"ix_archive_{name}", "archive", ["tenant", *columns, "id"], where=where)
    for columns in AUDITED:
        create_index(f"ix_audit_entry_tenant_{'_'.join(columns)}_id", "audit_entry", ["tenant", *columns, "id"])


def downgrade() -> None:
    for columns in AUDITED:
        drop_index(f"ix_audit_entry_tenant_{'_'.join(columns)}_id", "audit_entry")
    for name in ARCHIVES:
        drop_index(f"ix_archive_{name}", "archive")
    drop_index("ix_meeting_session", "meeting")
    for name, *_ in meeting_indexes():
        drop_index(f"ix_meeting_{name}", "meeting")
    create_index("ix_attendee_connection_attendee", "attendee_connection", ["attendee"], postgresql_using="hash")
    drop_index("ix_attendee_connection_person", "attendee_connection")
    drop_index("ix_attendee_connection_unplaced", "attendee_connection")
    with op.batch_alter_table("attendee_connection") as batch_op:
        batch_op.drop_column("meeting_created_on")
        batch_op.drop_column("tenant")
