"""Store the outcomes of attempts and the subscription's position in one transaction, as the owner of the lease."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import Insert, func, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from videoconf.audit import record
from videoconf.db.transactions import dialect_of, write
from videoconf.db.upsert import upserts
from videoconf.events.schedule import GIVE_UP, delay, is_used_up
from videoconf.events.sender import GONE, Attempted
from videoconf.events.subscription_models import DeliveryStatus, EventDelivery, EventSubscription
from videoconf.formats import utc_text
from videoconf.tenancy import ActorType, Caller

if TYPE_CHECKING:
    from videoconf.events.dispatch import Item

logger = logging.getLogger(__name__)

ATTEMPTS_KEPT = 12
POSTPONED = timedelta(minutes=1)
ACTOR = "event-deliveries"

_ROWS: Any = EventSubscription.__table__
_DELIVERIES: Any = EventDelivery.__table__


class Ended(StrEnum):
    """What a turn made of its subscription."""

    WORKS = "works"
    FAILS = "fails"
    DISABLED = "disabled"
    LOST = "lost"
    """Another worker had taken it over: this turn moved nothing."""


def store(subscription: Any, sent: Sequence[tuple[Item, Attempted]], position: int, now: datetime) -> Ended:
    """Store the outcomes of one turn, move the position, and give the lease back.

    :param position: where the subscription is now. A replay that was asked for meanwhile wins.
    """
    mine = (_ROWS.c.id == subscription.id, _ROWS.c.lease_owner == subscription.lease_owner)
    with write() as session:
        row = session.execute(select(_ROWS).where(*mine).with_for_update()).one_or_none()
        if row is None:
            return Ended.LOST
        _store_deliveries(session, row, sent, now)
        values = _after(row, [attempted for item, attempted in sent if item.body is not None], now)
        if row.position == subscription.position:
            values["position"] = position
        if values["failing_since"] is None:
            _release_failed(session, row, now)
            values["retry_at"] = _next_retry(session, row.id)
        session.execute(update(_ROWS).where(*mine).values(**values, lease_owner=None, lease_until=None))
        if not values.get("is_enabled", True):
            after = {"reason": values["disabled_reason"]}
            actor = Caller(ACTOR, row.tenant, type=ActorType.SYSTEM)
            record(session, actor, "event_subscription.disabled", target=row.public_id, after=after)
            return Ended.DISABLED
    return Ended.WORKS if values["failing_since"] is None else Ended.FAILS


def postpone(subscription: Any, now: datetime) -> None:
    """Give the lease back of a subscription that cannot be served now, and look at it again later."""
    values = {"lease_owner": None, "lease_until": None, "failing_since": subscription.failing_since or now}
    with write() as session:
        statement = update(_ROWS).where(_ROWS.c.id == subscription.id, _ROWS.c.lease_owner == subscription.lease_owner)
        session.execute(statement.values(**values, retry_at=now + POSTPONED))


def log(subscription: Any, ended: Ended) -> None:
    """Log when a subscription begins to fail, works again, or is disabled."""
    if ended is Ended.DISABLED:
        logger.warning("event subscription %s is disabled", subscription.public_id)
    elif ended is Ended.FAILS and subscription.failing_since is None:
        logger.warning("event subscription %s fails", subscription.public_id)
    elif ended is Ended.WORKS and subscription.failing_since is not None:
        logger.info("event subscription %s works again", subscription.public_id)


def _after(row: Any, attempts: Sequence[Attempted], now: datetime) -> dict[str, Any]:
    """Return the columns that say how a subscription is after these attempts."""
    if any(one.status == GONE for one in attempts):
        reason = "The receiver answered 410 Gone."
        return {"is_enabled": False, "disabled_reason": reason, "failing_since": row.failing_since, "retry_at": None}
    if not attempts or any(one.succeeded for one in attempts):  # where nothing is left to probe it with, it may work
        return {"failing_since": None, "failures": 0}
    failing_since = row.failing_since or now
    if now - failing_since >= GIVE_UP:
        reason = f"No delivery succeeded since {utc_text(failing_since)}."
        return {"is_enabled": False, "disabled_reason": reason, "failing_since": failing_since, "retry_at": None}
    failures = row.failures + 1
    wish = max((one.retry_after_seconds or 0.0 for one in attempts), default=0.0)
    return {"failing_since": failing_since, "failures": failures, "retry_at": now + delay(failures, wish)}


def _store_deliveries(session: Session, row: Any, sent: Sequence[tuple[Item, Attempted]], now: datetime) -> None:
    if not sent:
        return
    ids = [item.event_id for item, _ in sent]
    of_these = (_DELIVERIES.c.subscription_id == row.id, _DELIVERIES.c.event_id.in_(ids))
    known = {one.event_id: one for one in session.execute(select(_DELIVERIES).where(*of_these))}
    values = []
    for item, attempted in sent:
        before = known.get(item.event_id)
        # What was sent before and is sent once more by a replay begins its schedule again.
        count = before.attempt_count if before is not None and not item.is_fresh else 0
        past = [] if before is None else before.attempts
        attempt = {
            "at": utc_text(now),
            "status": attempted.status,
            "durationMs": round(attempted.seconds * 1000),
            "body": attempted.body,
            "error": attempted.error,
        }
        status, due = DeliveryStatus.SUCCEEDED, None
        if not attempted.succeeded:
            is_over = is_used_up(count + 1) or item.body is None
            status = DeliveryStatus.FAILED if is_over else DeliveryStatus.PENDING
            due = None if is_over else now + delay(count + 1, attempted.retry_after_seconds)
        values.append(
            {
                "subscription_id": row.id,
                "event_id": item.event_id,
                "type": item.type,
                "position": item.position,
                "status": status.value,
                "attempt_count": count + 1,
                "attempts": [*past, attempt][-ATTEMPTS_KEPT:],
                "next_attempt_at": due,
            }
        )
    session.execute(_STORE[dialect_of(session)], values)


def _release_failed(session: Session, row: Any, now: datetime) -> None:
    """Make what failed while the subscription failed due now that it works."""
    if row.failing_since is not None:
        waiting = update(_DELIVERIES).where(
            _DELIVERIES.c.subscription_id == row.id, _DELIVERIES.c.status == DeliveryStatus.PENDING
        )
        session.execute(waiting.values(next_attempt_at=now))


def _next_retry(session: Session, subscription_id: int) -> datetime | None:
    earliest = select(func.min(_DELIVERIES.c.next_attempt_at)).where(
        _DELIVERIES.c.subscription_id == subscription_id, _DELIVERIES.c.status == DeliveryStatus.PENDING
    )
    found: datetime | None = session.execute(earliest).scalar_one()
    return found


def _upsert(statement: postgresql.Insert) -> Insert:
    moved = ("status", "attempt_count", "attempts", "next_attempt_at")
    return statement.on_conflict_do_update(
        index_elements=["subscription_id", "event_id"], set_={name: statement.excluded[name] for name in moved}
    )


_STORE = upserts(_DELIVERIES, _upsert)
