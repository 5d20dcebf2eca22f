"""The audit trail: who changed what, when, from what to what. Written in the transaction of the change itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Index, delete, func, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from videoconf.db.batches import ROWS_PER_BATCH
from videoconf.db.functions import utc_now
from videoconf.db.transactions import Transaction, read, write
from videoconf.db.types import BigId, Model
from videoconf.formats import utc_text
from videoconf.tenancy import Caller, visible_to

FREE_FORM = frozenset({"ext_id", "ext_metadata", "name", "provider_options"})
"""What callers fill as they like, with personal data too. The trail is kept for ever, so it has none of it."""
NOT_RECORDED = "(not recorded)"


class AuditEntry(Model):
    """One change. Never updated; holds no token, secret or personal data beyond the actor's id."""

    __tablename__ = "audit_entry"
    __table_args__ = (Index(None, "tenant", "id"), Index(None, "tenant", "meeting_link", "id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    tenant: Mapped[str]
    at: Mapped[datetime] = mapped_column(default=utc_now())
    actor: Mapped[str]
    actor_type: Mapped[str | None]
    """An :class:`~videoconf.tenancy.ActorType`; None in entries of releases that did not know it."""
    action: Mapped[str]
    """``meeting.created``, ``meeting.edited``, …: the thing, a full stop, and what happened to it."""
    meeting_link: Mapped[str | None]
    target: Mapped[str | None]
    """The id of what was changed, where it is not the meeting."""
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
    request_id: Mapped[str | None]
    """As the caller chose it, or the server's."""
    server_request_id: Mapped[str | None]


_INSERT = insert(AuditEntry.__table__)  # type: ignore[arg-type]  # a Table, declared as what may be selected from


def record(
    transaction: Transaction,
    caller: Caller,
    action: str,
    *,
    meeting_link: str | None = None,
    target: str | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Add an entry to the running transaction."""
    entry = {
        "tenant": caller.tenant,
        "actor": caller.subject,
        "actor_type": caller.type.value,
        "action": action,
        "meeting_link": meeting_link,
        "target": target,
        "before": before,
        "after": after,
        "request_id": caller.request_id,
        "server_request_id": caller.server_request_id,
    }
    transaction.execute(_INSERT, entry)


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a change as JSON has them; of :data:`FREE_FORM` ones, whether there is anything."""
    return {name: _plain(name, value) for name, value in values.items()}


def _plain(name: str, value: Any) -> Any:
    if name in FREE_FORM and value is not None:
        return NOT_RECORDED
    return utc_text(value) if isinstance(value, datetime) else value


def prune(before: datetime) -> int:
    """Delete the entries before a time, in small transactions; return how many. For the owner of the schema alone."""
    # Ids grow with time: looking at the first ones alone, a run over a long trail ends without reading all of it.
    first = select(AuditEntry.id, AuditEntry.at).order_by(AuditEntry.id).limit(ROWS_PER_BATCH).subquery()
    old = select(first.c.id).where(first.c.at < before)
    pruned = 0
    while True:
        with write() as session:
            statement = delete(AuditEntry).where(AuditEntry.id.in_(old)).returning(AuditEntry.id)
            found = session.execute(statement.execution_options(synchronize_session=False)).all()
        pruned += len(found)
        if len(found) < ROWS_PER_BATCH:
            return pruned


def list_entries(
    caller: Caller,
    *,
    meeting_link: str | None,
    actor: str | None,
    since: datetime | None,
    until: datetime | None,
    page: int,
    page_size: int,
) -> tuple[list[AuditEntry], int]:
    """Return one page of the tenant's entries, newest first, and how many match; what is None does not filter.

    :param since: inclusive; ``until`` is exclusive.
    """
    wanted = [visible_to(caller, AuditEntry.tenant)]
    if meeting_link is not None:
        wanted.append(AuditEntry.meeting_link == meeting_link)
    if actor is not None:
        wanted.append(AuditEntry.actor == actor)
    if since is not None:
        wanted.append(AuditEntry.at >= since)
    if until is not None:
        wanted.append(AuditEntry.at < until)
    with read() as session:
        total = session.execute(select(func.count()).select_from(AuditEntry).where(*wanted)).scalar_one()
        newest = select(AuditEntry).where(*wanted).order_by(AuditEntry.id.desc())
        return list(session.execute(newest.limit(page_size).offset((page - 1) * page_size)).scalars()), total
