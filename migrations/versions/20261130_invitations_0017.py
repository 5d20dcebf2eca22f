"""invitations, seats and the lobby.

Revision: 0017
Follows: 0015
Made: 2026-11-30 10:30:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0015"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
NAME = sa.String(length=255)


def upgrade() -> None:
    op.create_table(
        "invitation",
        sa.Column("id", BIG_ID, sa.Identity(), nullable=False),
        sa.Column("public_id", NAME, nullable=False),
        sa.Column("meeting_id", sa.BigInteger(), nullable=False),
        sa.Column("role", NAME, nullable=False),
        sa.Column("admission", NAME, nullable=False),
        sa.Column("attendee", NAME, nullable=True),
        sa.Column("name", NAME, nullable=True),
        sa.Column("expires_on", TIME, nullable=True),
        sa.Column("max_uses", sa.BigInteger(), nullable=True),
        sa.Column("uses", sa.BigInteger(), nullable=False),
        sa.Column("created_on", TIME, nullable=False),
        sa.Column("created_by", NAME, nullable=False),
        sa.Column("revoked_on", TIME, nullable=True),
        sa.Column("revoked_by", NAME, nullable=True),
        sa.ForeignKeyConstraint(
            ["meeting_id"], ["meeting.id"], name="fk_invitation_meeting_id_meeting", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_invitation"),
        sa.UniqueConstraint("public_id", name="uq_invitation_public_id"),
    )
    revoked = sa.text("revoked_on IS NOT NULL")
    with op.batch_alter_table("invitation") as batch_op:
        batch_op.create_index("ix_invitation_meeting_id_id", ["meeting_id", "id"])
        batch_op.create_index("ix_invitation_attendee", ["attendee"])
        batch_op.create_index(
            "ix_invitation_revoked", ["revoked_on"], postgresql_where=revoked, sqlite_where=revoked
        )
    op.create_table(
        "invitation_code",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("invitation_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["invitation_id"],
            ["invitation.id"],
            name="fk_invitation_code_invitation_id_invitation",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("digest", name="pk_invitation_code"),
    )
    with op.batch_alter_table("invitation_code") as batch_op:
        batch_op.create_index("ix_invitation_code_invitation_id", ["invitation_id"])
    op.create_table(
        "seat",
        sa.Column("id", BIG_ID, sa.Identity(), nullable=False),
        sa.Column("invitation_id", sa.BigInteger(), nullable=False),
        sa.Column("secret_digest", sa.LargeBinary(), nullable=False),
        sa.Column("control_digest", sa.LargeBinary(), nullable=True),
        sa.Column("attendee", NAME, nullable=False),
        sa.Column("name", NAME, nullable=True),
        sa.Column("created_on", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["invitation_id"], ["invitation.id"], name="fk_seat_invitation_id_invitation", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_seat"),
        sa.UniqueConstraint("secret_digest", name="uq_seat_secret_digest"),
        sa.UniqueConstraint("control_digest", name="uq_seat_control_digest"),
    )
    with op.batch_alter_table("seat") as batch_op:
        batch_op.create_index("ix_seat_invitation_id", ["invitation_id"])
        batch_op.create_index("ix_seat_attendee", ["attendee"])
    op.create_table(
        "lobby_entry",
        sa.Column("id", BIG_ID, sa.Identity(), nullable=False),
        sa.Column("public_id", NAME, nullable=False),
        sa.Column("meeting_id", sa.BigInteger(), nullable=False),
        sa.Column("invitation_id", sa.BigInteger(), nullable=False),
        sa.Column("ticket_digest", sa.LargeBinary(), nullable=False),
        sa.Column("attendee", NAME, nullable=False),
        sa.Column("name", NAME, nullable=True),
        sa.Column("state", NAME, nullable=False),
        sa.Column("waiting_since", TIME, nullable=False),
        sa.Column("polled_on", TIME, nullable=False),
        sa.Column("answered_on", TIME, nullable=True),
        sa.Column("answered_by", NAME, nullable=True),
        sa.ForeignKeyConstraint(
            ["meeting_id"], ["meeting.id"], name="fk_lobby_entry_meeting_id_meeting", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["invitation_id"], ["invitation.id"], name="fk_lobby_entry_invitation_id_invitation", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_lobby_entry"),
        sa.UniqueConstraint("public_id", name="uq_lobby_entry_public_id"),
        sa.UniqueConstraint("ticket_digest", name="uq_lobby_entry_ticket_digest"),
    )
    with op.batch_alter_table("lobby_entry") as batch_op:
        batch_op.create_index("ix_lobby_entry_meeting_id_id", ["meeting_id", "id"])
        batch_op.create_index("ix_lobby_entry_invitation_id_id", ["invitation_id", "id"])
        batch_op.create_index("ix_lobby_entry_attendee", ["attendee"])
        batch_op.create_index("ix_lobby_entry_waiting_since", ["waiting_since"])


def downgrade() -> None:
    for table in ("lobby_entry", "seat", "invitation_code", "invitation"):
        op.drop_table(table)
