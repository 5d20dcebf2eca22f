"""The audit trail: who changed what, when, from what to what. Written in the transaction of the change itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Index, Select, bindparam, delete, insert, literal_column, select
from sqlalchemy.orm import Mapped, mapped_column

from videoconf.db import keyset
from videoconf.db.batches import ROWS_PER_BATCH
from videoconf.db.functions import utc_now
from videoconf.db.keyset import Listed, Order, Part
from videoconf.db.offered import Offered
from videoconf.db.pages import list_counted
from videoconf.db.transactions import Transaction, write
from videoconf.db.types import BigId, Model, UTCDateTime
from videoconf.formats import utc_text
from videoconf.observability.log_context import bind_log_context
from videoconf.tenancy import Caller, visible_to_bound

FREE_FORM = frozenset({"ext_id", "ext_metadata", "name", "provider_options"})
"""What callers fill as they like, with personal data too. The trail is kept for ever, so it has none of it."""
NOT_RECORDED = "(not recorded)"


class AuditEntry(Model):
    """One change. Never updated; holds no token, secret or personal data beyond the actor's id."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index(None, "tenant", "id"),
        Index(None, "tenant", "meeting_link", "id"),
        Index(None, "tenant", "at", "id"),
        Index(None, "tenant", "meeting_link", "at", "id"),
        Index(None, "tenant", "actor", "at", "id"),
        Index(None, "tenant", "action", "at", "id"),
    )

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
    """Add an entry to the running transaction. The log's further lines name the meeting too."""
    if meeting_link is not None:
        bind_log_context(meeting_link=meeting_link)
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


def person_digest(caller: Caller, attendee: str) -> str:
    """Return what the trail holds of a person who did not act: enough to answer whether it was a given one."""
    digest = hashlib.sha256(f"{caller.tenant}\0{attendee}".encode()).hexdigest()
    return f"sha256:{digest}"


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


@dataclass(frozen=True)
class EntryFilter:
    """Which entries; None: any."""

    meeting_link: str | None = None
    actor: str | None = None
    action: str | None = None
    since: datetime | None = None
    """Inclusive."""
    until: datetime | None = None
    """Exclusive."""


NEWEST_FIRST = Order((AuditEntry.at, AuditEntry.id), descending=True)
OFFERED = Offered(
    filters={
        frozenset(): ("at",),
        frozenset({"actor"}): ("at",),
        frozenset({"action"}): ("at",),
        # A meeting has few entries, whoever made them.
        frozenset({"meeting_link"}): ("at",),
        frozenset({"meeting_link", "actor"}): ("at",),
        frozenset({"meeting_link", "action"}): ("at",),
    },
    ranges={"at": ("since", "until")},
)


def list_entries(caller: Caller, wanted: EntryFilter, part: Part) -> Listed[AuditEntry]:
    """Return a part of the tenant's entries, newest first.

    :raises FilterCombination: no index serves these filters.
    """
    given = {name: value for name, value in vars(wanted).items() if value is not None}
    OFFERED.check(given, "at")
    statement, count = _listing(frozenset(given), part.shape)
    return list_counted(statement, count, NEWEST_FIRST, part, {**given, **caller.scope})


@cache
def _listing(given: frozenset[str], shape: str) -> tuple[Select[Any], Select[Any]]:
    """Build the statement of a part and the one that counts, once for each choice of filters."""
    total = keyset.total(select(AuditEntry.id).where(*_conditions(given)), NEWEST_FIRST)
    counted = total if shape == "page" else literal_column("NULL")
    needed = OFFERED.behind(given, "at", descending=True) if shape == "after" else given
    part = select(AuditEntry, counted.label("total")).where(*_conditions(needed))
    return keyset.cut(part, NEWEST_FIRST, shape), select(total)


def _conditions(given: frozenset[str]) -> list[Any]:
    conditions: list[Any] = [visible_to_bound(AuditEntry.tenant)]
    for name in sorted(given - {"since", "until"}):
        conditions.append(getattr(AuditEntry, name) == bindparam(name))
    if "since" in given:
        conditions.append(AuditEntry.at >= bindparam("since", type_=UTCDateTime()))
    if "until" in given:
        conditions.append(AuditEntry.at < bindparam("until", type_=UTCDateTime()))
    return conditions
