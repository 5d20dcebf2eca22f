"""Idempotent creation: one ``Idempotency-Key`` of a tenant creates one resource, despite crashes and repeated requests.

Each key has one row with a lease (by the database's clock) and, at the end, the answer. The owner's name is a fencing
token: a process that has lost the lease to another process cannot store an answer. The provider call runs outside any
transaction. If its outcome is unknown, the process releases the lease, and the next request with the key resumes.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, Update, delete, or_, select, tuple_
from sqlalchemy.orm import Mapped, Session, mapped_column

from videoconf.db.batches import ROWS_PER_BATCH, in_batches, run_until
from videoconf.db.conditional import changes_row, update_rows
from videoconf.db.functions import utc_in, utc_now
from videoconf.db.transactions import Transaction, dialect_of, write
from videoconf.db.types import Model
from videoconf.db.upsert import inserts_once
from videoconf.errors import IdempotencyInProgress, IdempotencyKeyReused

LEASE_SECONDS = 30.0
"""Longer than any request may take."""
RETENTION_SECONDS = 86_400.0
"""How long a key is remembered at least; then it makes something new."""


class KeyState(StrEnum):
    """``busy`` until there is an answer that a repetition gets again."""

    BUSY = "busy"
    DONE = "done"


class IdempotencyKey(Model):
    """One key of one tenant."""

    __tablename__ = "idempotency_key"
    __table_args__ = (Index(None, "created_on"), Index(None, "target"))

    tenant: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    state: Mapped[str] = mapped_column(default=KeyState.BUSY)
    owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    target: Mapped[str | None]
    """The id of what is being made."""
    answer: Mapped[dict[str, Any] | None]
    created_on: Mapped[datetime] = mapped_column(default=utc_now())


@dataclass(frozen=True)
class Claim:
    """The right to work on a key. ``target`` None: no earlier request began."""

    tenant: str
    key: str
    owner: str
    target: str | None


@dataclass(frozen=True)
class Done:
    """What was answered to the key before."""

    answer: dict[str, Any]


def fingerprint(request: Mapping[str, Any]) -> str:
    """Return what tells two requests of one key apart: a digest of the canonical, validated body."""
    return hashlib.sha256(json.dumps(request, sort_keys=True, default=str).encode()).hexdigest()


def claim(session: Session, tenant: str, key: str, request: str) -> Claim | Done:
    """Take a key, resume it where its owner is gone, or return what it was answered.

    :param request: the :func:`fingerprint`.
    :raises IdempotencyKeyReused: the key was used for another request.
    :raises IdempotencyInProgress: another request works on it.
    """
    owner = secrets.token_hex(8)
    lease = {"owner": owner, "lease_until": utc_in(LEASE_SECONDS)}
    row = {"tenant": tenant, "key": key, "fingerprint": request, **lease}
    if session.execute(_INSERT_ONCE[dialect_of(session)].values(row)).scalar_one_or_none() is not None:
        return Claim(tenant, key, owner, None)
    known = session.execute(select(IdempotencyKey).where(*_is(tenant, key)).with_for_update()).scalar_one_or_none()
    if known is None:  # given up between the two statements
        raise IdempotencyInProgress(retry_after_seconds=1)
    if known.fingerprint != request:
        raise IdempotencyKeyReused
    if known.state == KeyState.DONE:
        return Done(known.answer or {})
    taken = session.execute(
        update_rows(IdempotencyKey)
        .where(*_is(tenant, key), or_(IdempotencyKey.owner.is_(None), IdempotencyKey.lease_until < utc_now()))
        .values(**lease)
        .returning(IdempotencyKey.target)
    ).one_or_none()
    if taken is None:
        raise IdempotencyInProgress(retry_after_seconds=1)
    return Claim(tenant, key, owner, taken.target)


def aim(session: Session, claim: Claim, target: str) -> None:
    """Note what is being made, in the transaction that begins it."""
    session.execute(_own(claim).values(target=target))


def renew(transaction: Transaction, claim: Claim) -> bool:
    """Renew the lease before more work; False when it was lost: then nothing may change."""
    return changes_row(transaction, _own(claim).values(lease_until=utc_in(LEASE_SECONDS)))


def finish(transaction: Transaction, claim: Claim, answer: dict[str, Any]) -> bool:
    """Store the answer, in the transaction of what it tells; False when the lease was lost: then nothing may change."""
    finished = _own(claim).values(state=KeyState.DONE, owner=None, lease_until=None, answer=answer)
    return changes_row(transaction, finished)


def release(claim: Claim) -> None:
    """Give the lease back with the outcome unknown: the next request of the key resumes."""
    with write() as session:
        session.execute(_own(claim).values(owner=None, lease_until=None))


def forget(transaction: Transaction, claim: Claim) -> bool:
    """Give the key up, since nothing was made; False when the lease was lost."""
    statement = delete(IdempotencyKey).where(*_is(claim.tenant, claim.key), IdempotencyKey.owner == claim.owner)
    return changes_row(transaction, statement.execution_options(synchronize_session=False))


def abandon(session: Session, target: str) -> bool:
    """Give up the key that aims at a target; False when another request holds a valid lease on it."""
    aimed = IdempotencyKey.target == target
    held = select(IdempotencyKey.key).where(aimed, IdempotencyKey.lease_until >= utc_now())
    if session.execute(held).first() is not None:
        return False
    session.execute(delete(IdempotencyKey).where(aimed, IdempotencyKey.state == KeyState.BUSY))
    return True


def reap() -> None:
    """Delete the keys whose time is over."""
    old = (
        select(IdempotencyKey.tenant, IdempotencyKey.key)
        .where(IdempotencyKey.created_on < utc_in(-RETENTION_SECONDS))
        .order_by(IdempotencyKey.created_on)
        .limit(ROWS_PER_BATCH)
    )
    these = tuple_(IdempotencyKey.tenant, IdempotencyKey.key).in_(old)
    in_batches(delete(IdempotencyKey).where(these), IdempotencyKey.key, run_until())


def _is(tenant: str, key: str) -> tuple[Any, ...]:
    return IdempotencyKey.tenant == tenant, IdempotencyKey.key == key


_INSERT_ONCE = inserts_once(IdempotencyKey, "tenant", "key", returning=IdempotencyKey.key)


def _own(claim: Claim) -> Update:
    return update_rows(IdempotencyKey).where(*_is(claim.tenant, claim.key), IdempotencyKey.owner == claim.owner)
