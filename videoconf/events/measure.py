"""Measure the log and its subscriptions, for metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, func, select

from videoconf.db.functions import utc_now
from videoconf.db.transactions import read
from videoconf.events.models import Change, Event
from videoconf.events.subscription_models import EventSubscription

_CHANGES: Any = Change.__table__
_ROWS: Any = EventSubscription.__table__


@dataclass(frozen=True)
class Measured:
    """The log at one moment."""

    projection_lag_seconds: float
    delivery_lag_seconds: float
    """Over the subscriptions that work; those that fail have their own number."""
    subscriptions: dict[str, int]


def measure() -> Measured:
    """Read how far the projector and the deliveries are behind."""
    is_working = (_ROWS.c.is_enabled, _ROWS.c.failing_since.is_(None))
    waiting = (
        select(Event.at)
        .where(Event.tenant == _ROWS.c.tenant, Event.position > _ROWS.c.position)
        .order_by(Event.position)
        .limit(1)
        .scalar_subquery()
    )
    state = case(
        (_ROWS.c.is_enabled.is_(False), case((_ROWS.c.disabled_reason.is_not(None), "disabled"), else_="off")),
        (_ROWS.c.failing_since.is_not(None), "failing"),
        else_="working",
    )
    with read() as session:
        now = session.execute(select(utc_now())).scalar_one()
        oldest = session.execute(select(_CHANGES.c.noted_on).order_by(_CHANGES.c.id).limit(1)).scalar_one_or_none()
        behind = select(waiting.label("at")).where(*is_working, _ROWS.c.newest > _ROWS.c.position).subquery()
        unsent = session.execute(select(func.min(behind.c.at))).scalar_one()
        rows = session.execute(select(state, func.count()).group_by(state)).all()
        counted = {str(name): int(number) for name, number in rows}
    states = {name: counted.get(name, 0) for name in ("working", "failing", "disabled")}
    return Measured(_age(now, oldest), _age(now, unsent), states)


def _age(now: Any, since: Any) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
