"""Deliveries: list the attempts of a subscription, send a test, and retry a delivery."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import delete, insert, select, update

from videoconf.audit import record
from videoconf.db.batches import ROWS_PER_BATCH, in_batches, run_until
from videoconf.db.conditional import update_rows
from videoconf.db.functions import utc_in
from videoconf.db.keyset import Listed, Part
from videoconf.db.pages import by_id, list_objects
from videoconf.db.transactions import read, write
from videoconf.errors import EventDeliveryNotFound, EventNotKept, EventSubscriptionDisabled
from videoconf.events.models import Event
from videoconf.events.subscription_models import DeliveryStatus, EventDelivery, EventSubscription
from videoconf.events.subscriptions import find
from videoconf.events.types import PING
from videoconf.providers import Clock
from videoconf.tenancy import Caller

BY_ID = by_id(EventDelivery.id)


class Deliveries:
    """The operations. One instance serves all threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def list_part(self, caller: Caller, subscription_id: str, status: str | None, part: Part) -> Listed[EventDelivery]:
        """Return a part of a subscription's deliveries, newest first.

        :raises EventSubscriptionNotFound: the tenant has no such subscription.
        """
        with read() as session:
            row = find(session, caller, subscription_id)
        statement = select(EventDelivery).where(EventDelivery.subscription_id == row.id)
        if status is not None:
            statement = statement.where(EventDelivery.status == status)
        return list_objects(statement, BY_ID, part)

    def test(self, caller: Caller, subscription_id: str) -> EventDelivery:
        """Queue a ``ping``; return its delivery, which shows the outcome.

        :raises EventSubscriptionNotFound: the tenant has no such subscription.
        :raises EventSubscriptionDisabled: nothing is sent to it.
        """
        with write() as session:
            row = find(session, caller, subscription_id, lock=True)
            if not row.is_enabled:
                raise EventSubscriptionDisabled
            values = {
                "subscription_id": row.id,
                "event_id": f"evt_{secrets.token_hex(12)}",
                "type": PING,
                "position": None,
                "status": DeliveryStatus.PENDING.value,
                "attempts": [],
                "next_attempt_at": self._clock(),
            }
            created = session.execute(insert(EventDelivery).values(values).returning(EventDelivery)).scalar_one()
            self._serve_now(session, row)
            record(session, caller, "event_subscription.tested", target=subscription_id)
        return created

    def retry(self, caller: Caller, subscription_id: str, delivery_id: int) -> None:
        """Have one delivery sent again now, and by the schedule from its beginning if that fails.

        :raises EventSubscriptionNotFound: or :class:`EventDeliveryNotFound`: the tenant has no such delivery.
        :raises EventSubscriptionDisabled: nothing is sent to it; :class:`EventNotKept`: the event was deleted.
        """
        with write() as session:
            row = find(session, caller, subscription_id, lock=True)
            mine = (EventDelivery.id == delivery_id, EventDelivery.subscription_id == row.id)
            delivery = session.execute(select(EventDelivery).where(*mine)).scalar_one_or_none()
            if delivery is None:
                raise EventDeliveryNotFound
            if not row.is_enabled:
                raise EventSubscriptionDisabled
            kept = select(Event.position).where(Event.position == delivery.position)
            if delivery.position is not None and session.execute(kept).one_or_none() is None:
                raise EventNotKept
            values = {"status": DeliveryStatus.PENDING.value, "attempt_count": 0, "next_attempt_at": self._clock()}
            session.execute(update(EventDelivery).where(*mine).values(values))
            self._serve_now(session, row)
            record(session, caller, "event_delivery.retried", target=str(delivery_id))

    def _serve_now(self, session: Any, row: EventSubscription) -> None:
        due = update_rows(EventSubscription).where(EventSubscription.id == row.id).values(retry_at=self._clock())
        session.execute(due)


class DeliveryRetention:
    """Deletes old deliveries. The recurring job.

    :param days: as long as events are kept.
    """

    def __init__(self, days: int) -> None:
        self._days = days

    def run(self) -> None:
        """Delete in small transactions, until time is up."""
        old = (
            select(EventDelivery.id)
            .where(EventDelivery.created_on < utc_in(-86_400.0 * self._days))
            .order_by(EventDelivery.created_on)
            .limit(ROWS_PER_BATCH)
        )
        in_batches(delete(EventDelivery).where(EventDelivery.id.in_(old)), EventDelivery.id, run_until())
