"""The rows of invitations, of seats, and of the lobby. Each secret is stored as its digest alone."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from videoconf.db.functions import utc_now
from videoconf.db.types import BigId, Model, only


class Admission(StrEnum):
    """Who decides that a person comes in."""

    OPEN = "open"
    """The invitation alone."""
    ASK = "ask"
    """A moderator, while the person waits in the lobby."""


MOST_USES = 100_000
"""First exchanges of an invitation that sets no bound: a use stores a row, and whoever has the link can use it again
and again."""


class LobbyState(StrEnum):
    """What became of a person who asked to join."""

    WAITING = "waiting"
    ADMITTED = "admitted"
    REFUSED = "refused"


class Invitation(Model):
    """A link to one meeting. Its codes stand in rows of their own: a repeated request gets a further one."""

    __tablename__ = "invitation"
    __table_args__ = (
        UniqueConstraint("public_id"),
        Index(None, "meeting_id", "id"),
        Index(None, "attendee"),
        Index("ix_invitation_revoked", "revoked_on", **only("revoked_on IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BigId, Identity(), primary_key=True)
    public_id: Mapped[str]
    meeting_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("meeting.id", ondelete="CASCADE"))
    role: Mapped[str]
    admission: Mapped[str]
    attendee: Mapped[str | None]
    """Whom the invitation is for; None: each first exchange makes a guest."""
    name: Mapped[str | None]
    expires_on: Mapped[datetime | None]
    """When first exchanges end. Seats stay."""
    max_uses: Mapped[int | None] = mapped_column(BigInteger)
    uses: Mapped[int] = mapped_column(BigInteger, default=0)
    """First exchanges. Only grows, and never beyond ``max_uses``, or :data:`MOST_USES` where that is None."""
    created_on: Mapped[datetime] = mapped_column(default=utc_now())
    created_by: Mapped[str]
    revoked_on: Mapped[datetime | None]
    """When its codes, and the seats that they gave, ended. Set once."""
    revoked_by: Mapped[str | None]


class InvitationCode(Model):
    """One code of an invitation."""

    __tablename__ = "invitation_code"
    __table_args__ = (Index(None, "invitation_id"),)

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    invitation_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("invitation.id", ondelete="CASCADE"))


class Seat(Model):
    """One person's place at a meeting, from a first exchange until the meeting ends or the invitation is revoked."""

    __tablename__ = "seat"
    __table_args__ = (
        UniqueConstraint("secret_digest"),
        UniqueConstraint("control_digest"),
        Index(None, "invitation_id"),
        Index(None, "attendee"),
    )

    id: Mapped[int] = mapped_column(BigId, Identity(), primary_key=True)
    invitation_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("invitation.id", ondelete="CASCADE"))
    secret_digest: Mapped[bytes]
    control_digest: Mapped[bytes | None]
    """The digest of the capability to moderate; None if the invitation is not a moderator's."""
    attendee: Mapped[str]
    name: Mapped[str | None]
    created_on: Mapped[datetime] = mapped_column(default=utc_now())


class LobbyEntry(Model):
    """A person who asked to join. One who waits and does not poll for a while is gone, without a change of the row."""

    __tablename__ = "lobby_entry"
    __table_args__ = (
        UniqueConstraint("public_id"),
        UniqueConstraint("ticket_digest"),
        Index(None, "meeting_id", "id"),
        Index(None, "invitation_id", "id"),
        Index(None, "attendee"),
        Index(None, "waiting_since"),
    )

    id: Mapped[int] = mapped_column(BigId, Identity(), primary_key=True)
    public_id: Mapped[str]
    meeting_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("meeting.id", ondelete="CASCADE"))
    invitation_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("invitation.id", ondelete="CASCADE"))
    ticket_digest: Mapped[bytes]
    attendee: Mapped[str]
    name: Mapped[str | None]
    state: Mapped[str] = mapped_column(default=LobbyState.WAITING)
    waiting_since: Mapped[datetime] = mapped_column(default=utc_now())
    polled_on: Mapped[datetime] = mapped_column(default=utc_now())
    answered_on: Mapped[datetime | None]
    answered_by: Mapped[str | None]
