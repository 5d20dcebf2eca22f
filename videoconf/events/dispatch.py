"""Serve one subscription for a short time: choose events, post them, and store the outcomes.

At-least-once: the outcome is stored after the post, so if a process dies in between, the same event is posted
again with the same ``webhook-id``. The position moves with the outcomes in one transaction, so no event is lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from videoconf.db.transactions import read
from videoconf.errors import EncryptionKeyUnknown
from videoconf.events import outcomes, signing
from videoconf.events.models import Event
from videoconf.events.sender import AT_ONCE, Attempted, Sender
from videoconf.events.subscription_models import DeliveryStatus, EventDelivery
from videoconf.events.turns import Lane, Turns
from videoconf.events.wire import body_of, event_values, ping_values
from videoconf.observability.metrics import EVENT_DELIVERIES
from videoconf.providers import Clock
from videoconf.storage_targets.cipher import Cipher

EVENTS_AT_ONCE = 100
TURN_SECONDS = 0.5
"""For how long a turn may start further attempts."""


@dataclass(frozen=True)
class Item:
    """One event to be sent to a subscription."""

    event_id: str
    type: str
    position: int | None
    body: bytes | None
    """None: the event was deleted with age."""
    is_fresh: bool
    """It was never sent, and the subscription's position moves over it."""


class Dispatcher:
    """Sends. One instance serves all threads."""

    def __init__(self, cipher: Cipher, sender: Sender, clock: Clock) -> None:
        self._cipher = cipher
        self._sender = sender
        self._clock = clock
        self._turns = Turns(clock)

    def turn(self, lane: Lane) -> bool:
        """Serve the subscription that has been due longest; return whether one was due."""
        with self._turns.claim(lane) as subscription:
            if subscription is None:
                return False
            self._serve(subscription)
        return True

    def run(self) -> None:
        """Serve until nothing is due. For tests and the command line."""
        served = 1
        while served:
            self._turns.ask_now()
            served = sum(self.turn(lane) for lane in Lane)

    def _serve(self, subscription: Any) -> None:
        try:
            keys = signing.decrypt(self._cipher, subscription.tenant, subscription.secret).at(self._clock())
        except EncryptionKeyUnknown:
            outcomes.postpone(subscription, self._clock())
            raise
        is_failing = subscription.failing_since is not None
        with read() as session:
            chosen = _choose(session, subscription, self._clock(), is_failing=is_failing)
        sent = self._post_all(subscription.url, keys, chosen.items[: 1 if is_failing else None])
        chosen.cut(len(sent))
        ended = outcomes.store(subscription, sent, chosen.position, self._clock())
        for _, attempted in sent:
            EVENT_DELIVERIES.labels("succeeded" if attempted.succeeded else "failed").inc()
        outcomes.log(subscription, ended)

    def _post_all(self, url: str, keys: list[str], items: Sequence[Item]) -> list[tuple[Item, Attempted]]:
        """Post in order, a few at once, until one fails or the turn is over; return what was posted."""
        until, stop, lock = time.monotonic() + TURN_SECONDS, threading.Event(), threading.Lock()
        waiting, posted = iter(enumerate(items)), list[tuple[int, Item, Attempted]]()

        def work() -> None:
            while not stop.is_set():
                with lock:
                    taken = None if time.monotonic() > until else next(waiting, None)
                if taken is None:
                    return
                place, item = taken
                attempted = self._post(url, keys, item)
                if not attempted.succeeded:
                    stop.set()
                posted.append((place, item, attempted))

        if len(items) <= 1:
            work()
        else:
            with ThreadPoolExecutor(min(AT_ONCE, len(items)), "videoconf-post") as pool:
                for done in [pool.submit(work) for _ in range(min(AT_ONCE, len(items)))]:
                    done.result()
        return [(item, attempted) for _, item, attempted in sorted(posted, key=lambda one: one[0])]

    def _post(self, url: str, keys: list[str], item: Item) -> Attempted:
        if item.body is None:
            return Attempted(0.0, error="The event was deleted with age.")
        headers = signing.signed_headers(keys, item.event_id, item.body, self._clock())
        return self._sender.post(url, headers, item.body)


@dataclass
class _Chosen:
    """What to send, in order, and where the subscription then is."""

    items: list[Item]
    passed: list[int]
    """The position that is reached with each item; the position before does not move with a repeated one."""
    position: int
    """The position where all are sent."""
    start: int

    def cut(self, sent: int) -> None:
        """Note that only the first items were sent."""
        if sent < len(self.items):
            self.position = self.passed[sent - 1] if sent else self.start


def _choose(session: Session, subscription: Any, now: Any, *, is_failing: bool) -> _Chosen:
    """Choose what to send: what a caller asked for, then new events and what is due again.

    While a subscription fails, one item probes it: a new event rather than one that failed before, so that an event
    that the receiver never accepts does not hold up the others.
    """
    pending = select(EventDelivery).where(
        EventDelivery.subscription_id == subscription.id, EventDelivery.status == DeliveryStatus.PENDING
    )
    if not is_failing:  # else the subscription's own schedule decides
        pending = pending.where(EventDelivery.next_attempt_at <= now)
    pending = pending.order_by(EventDelivery.attempt_count, EventDelivery.id).limit(EVENTS_AT_ONCE)
    repeated = list(session.execute(pending).scalars())
    asked = [one for one in repeated if one.attempt_count == 0]
    again = [one for one in repeated if one.attempt_count]
    new = select(Event).where(
        Event.tenant == subscription.tenant,
        Event.position > subscription.position,
        Event.position <= subscription.newest,
    )
    events = list(session.execute(new.order_by(Event.position).limit(EVENTS_AT_ONCE)).scalars())
    end = events[-1].position if len(events) == EVENTS_AT_ONCE else max(subscription.newest, subscription.position)
    wanted = [event for event in events if is_wanted(subscription, event)]
    fresh = [Item(one.id, one.type, one.position, body_of(event_values(one)), is_fresh=True) for one in wanted]
    first, later = _items(session, subscription, asked), _items(session, subscription, again)
    items = [*first, *fresh, *later] if is_failing else [*first, *later, *fresh]
    passed, reached = [], subscription.position
    for number, item in enumerate(items):
        if item.is_fresh:
            following = (one.position for one in items[number + 1 :] if one.is_fresh and one.position is not None)
            upcoming = next(following, None)
            reached = end if upcoming is None else max(item.position or reached, upcoming - 1)
        passed.append(reached)
    return _Chosen(items, passed, end, subscription.position)


def is_wanted(subscription: Any, event: Event) -> bool:
    """Return whether a subscription asks for an event."""
    if subscription.types is not None and event.type not in subscription.types:
        return False
    return subscription.meeting_link is None or event.meeting_link == subscription.meeting_link


def _items(session: Session, subscription: Any, deliveries: Iterable[EventDelivery]) -> list[Item]:
    deliveries = list(deliveries)
    positions = [one.position for one in deliveries if one.position is not None]
    found = session.execute(select(Event).where(Event.position.in_(positions))).scalars() if positions else ()
    events = {event.position: event for event in found}
    items = []
    for one in deliveries:
        if one.position is None:
            body: bytes | None = body_of(ping_values(one, subscription.tenant, subscription.public_id))
        else:
            event = events.get(one.position)
            body = None if event is None else body_of(event_values(event))
        items.append(Item(one.event_id, one.type, one.position, body, is_fresh=False))
    return items
