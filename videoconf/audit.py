"""The audit trail: who changed what, when, from what to what. Written in the transaction of the change itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, Session, mapped_column

from videoconf.database import Model, utc_now
from videoconf.tenancy import Caller


class AuditEntry(Model):
    """One change. Never updated; holds no token, secret or personal data beyond the actor's id."""

    __tablename__ = "audit_entry"
    __table_args__ = (Index(None, "tenant", "id"), Index(None, "tenant", "meeting_link", "id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    at: Mapped[datetime] = mapped_column(default=utc_now())
    actor: Mapped[str]
    action: Mapped[str]
    """``meeting.created``, ``meeting.edited``, …: the thing, a full stop, and what happened to it."""
    meeting_link: Mapped[str | None]
    target: Mapped[str | None]
    """The id of what was changed, where it is not the meeting."""
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
    request_id: Mapped[str | None]


def record(
    session: Session,
    caller: Caller,
    action: str,
    *,
    meeting_link: str | None = None,
    target: str | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Add an entry to the running transaction."""
    session.add(
        AuditEntry(
            tenant=caller.tenant,
            actor=caller.subject,
            action=action,
            meeting_link=meeting_link,
            target=target,
            before=before,
            after=after,
            request_id=caller.request_id,
        )
    )
