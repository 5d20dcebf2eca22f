"""Look up stored webhook events and refusals: for the command line, and for ``GET /webhook-events``.

Events are listed by the time of their arrival. Those of one tenant and status stand in this order in one index, those
of one session and status in another, so a list reads no event that it does not show, whatever other tenants received.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from heapq import nlargest
from itertools import chain
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    and_,
    bindparam,
    func,
    literal_column,
    null,
    or_,
    select,
    tuple_,
)

from videoconf.db import keyset
from videoconf.db.keyset import Listed, Order, Part
from videoconf.db.pages import by_id, listed
from videoconf.db.transactions import read
from videoconf.db.types import UTCDateTime
from videoconf.errors import WebhookEventNotFound
from videoconf.meetings.models import Meeting
from videoconf.tenancy import Caller, visible_to
from videoconf.webhooks.models import REJECTED, UNKNOWN, EventStatus, WebhookEvent, WebhookRefusal

STATUSES = (*EventStatus, REJECTED)
"""What a list can be asked for."""

_EVENTS: Any = WebhookEvent.__table__
_REFUSALS: Any = WebhookRefusal.__table__
_COLUMNS = ("id", "provider", "channel", "kind", "status", "reason", "session_id", "received_at")
NEWEST_FIRST = Order((_EVENTS.c.received_at, _EVENTS.c.id), descending=True)


@dataclass(frozen=True)
class WebhookRecord:
    """A stored event, or a refusal, which has neither id nor kind nor session."""

    id: int | None
    provider: str
    channel: str
    kind: str | None
    status: str
    reason: str | None
    session_id: str | None
    received_on: datetime
    meeting_link: str | None
    """The meeting of its session, where there is one."""


@dataclass(frozen=True)
class Wanted:
    """Which records; what is None does not filter."""

    status: str | None = None
    since: datetime | None = None
    """Inclusive."""
    meeting_link: str | None = None


def order_of(wanted: Wanted) -> Order:
    """Return the order of a list of records."""
    return by_id(_REFUSALS.c.id) if wanted.status == REJECTED else NEWEST_FIRST


def list_records(caller: Caller, wanted: Wanted, part: Part, *, without_meeting: bool) -> Listed[WebhookRecord]:
    """Return a part of the records, newest first.

    Refusals are listed when ``wanted.status`` asks for them, and only then.

    :param caller: sees the events of its tenant's meetings.
    :param without_meeting: whether to include events that belong to no known meeting. Refusals always do.
    """
    if wanted.meeting_link is not None:
        if wanted.status == REJECTED:
            return _nothing(part)
        return _list_of_meeting(wanted, part, visible_to(caller, Meeting.tenant))
    if wanted.status == REJECTED:
        return _list_refusals(wanted, part) if without_meeting else _nothing(part)
    return _list_of_tenant(caller.tenant, wanted, part, without_meeting=without_meeting)


def list_every_tenants(wanted: Wanted, limit: int) -> list[WebhookRecord]:
    """Return the newest records of all tenants, for an operator at the machine.

    Asks for each tenant's, so that this costs as much as there are tenants, and not events.
    """
    part = Part(limit)
    if wanted.meeting_link is not None:
        return _list_of_meeting(wanted, part).items if wanted.status != REJECTED else []
    if wanted.status == REJECTED:
        return _list_refusals(wanted, part).items
    found = (_list_of_tenant(tenant, wanted, part, without_meeting=False).items for tenant in _tenants())
    return nlargest(limit, chain.from_iterable(found), key=lambda record: (record.received_on, record.id))


def get_event(event_id: int) -> tuple[WebhookRecord, bytes | None]:
    """Return an event of any tenant, and its raw body while that is kept.

    :raises WebhookEventNotFound: no event has this id.
    """
    with read() as session:
        statement = select(*_SHOWN, _EVENTS.c.body).join_from(_EVENTS, Meeting, _OF_EVENT, isouter=True)
        row = session.execute(statement.where(_EVENTS.c.id == event_id)).one_or_none()
    if row is None:
        raise WebhookEventNotFound
    *values, body = row
    return WebhookRecord(*values), body


def _text(value: str) -> Any:
    return literal_column(f"'{value}'", String())


_OF_EVENT = and_(
    Meeting.provider == _EVENTS.c.provider,
    Meeting.account == _EVENTS.c.account,
    Meeting.session_id == _EVENTS.c.session_id,
    or_(Meeting.tenant == _EVENTS.c.tenant, _EVENTS.c.tenant.is_(None)),
)
_SHOWN = (*(_EVENTS.c[name] for name in _COLUMNS), Meeting.meeting_link)


def _list_of_tenant(tenant: str, wanted: Wanted, part: Part, *, without_meeting: bool) -> Listed[WebhookRecord]:
    return _list("operator" if without_meeting else "tenant", wanted, part, {"tenant": tenant})


def _list_of_meeting(wanted: Wanted, part: Part, *visible: ColumnElement[bool]) -> Listed[WebhookRecord]:
    of_link = select(Meeting.provider, Meeting.account, Meeting.session_id)
    with read() as session:
        found = session.execute(of_link.where(Meeting.meeting_link == wanted.meeting_link, *visible)).one_or_none()
    if found is None or found.session_id is None:
        return _nothing(part)
    return _list("meeting", wanted, part, found._asdict())


def _list(place: str, wanted: Wanted, part: Part, values: dict[str, Any]) -> Listed[WebhookRecord]:
    statement, count = _listing(place, wanted.status, wanted.since is not None, part.shape)
    if wanted.since is not None:
        values = {**values, "since": wanted.since}
    with read() as session:
        rows = session.execute(statement, {**values, **part.values}).all()
        counted = None if part.offset is None else session.execute(count, values).scalar_one()
    records = [WebhookRecord(*row) for row in rows]
    return keyset.part_of(part, records, [(row.received_at, row.id) for row in rows], counted)


_ALL = tuple(EventStatus)
_PLACES: dict[str, tuple[tuple[Any, Any, tuple[EventStatus, ...]], ...]] = {
    "meeting": ((_EVENTS.c.session_id, bindparam("session_id", type_=String()), _ALL),),
    "tenant": ((_EVENTS.c.tenant, bindparam("tenant", type_=String()), _ALL),),
    "operator": (
        (_EVENTS.c.tenant, bindparam("tenant", type_=String()), _ALL),
        (_EVENTS.c.tenant, _text(UNKNOWN), (EventStatus.ORPHAN, EventStatus.IGNORED, EventStatus.QUARANTINED)),
    ),
}
"""Where the events of a list stand: for each of these statuses, where a column has a value."""


@cache
def _listing(place: str, status: str | None, has_since: bool, shape: str) -> tuple[Select[Any], Select[Any]]:
    """Build the statement of a part and the one that counts, once for each choice of filters.

    The part is chosen by ids and times, which the index has, before the events and their meetings are read.
    """
    events = select(_EVENTS.c.id, _EVENTS.c.received_at)
    if place == "meeting":  # the session's provider is not in the index, since hardly ever two have one id
        events = events.where(*(_EVENTS.c[name] == bindparam(name) for name in ("provider", "account")))
    sources = []
    for column, value, statuses in _PLACES[place]:
        for one in statuses:
            if status in (None, one):
                within = ((column, value), (_EVENTS.c.status, _text(one)))
                source = events.where(_since(within)) if has_since else events
                sources.append((source, replace(NEWEST_FIRST, fixed=within)))
    page = keyset.cut_merged(sources, shape).subquery("page")
    statement = (
        select(*_SHOWN)
        .join_from(page, _EVENTS, _EVENTS.c.id == page.c.id)
        .join(Meeting, _OF_EVENT, isouter=True)
        .order_by(*NEWEST_FIRST.by((page.c.received_at, page.c.id)))
    )
    return statement, select(keyset.total_merged(sources))


def _since(within: tuple[tuple[Any, Any], ...]) -> ColumnElement[bool]:
    columns, values = [tuple(one) for one in zip(*within, strict=True)]
    since = bindparam("since", type_=UTCDateTime())
    return tuple_(*columns, _EVENTS.c.received_at) >= tuple_(*values, since)


def _tenants() -> Iterator[str]:
    """Give every tenant that has events, and :data:`UNKNOWN`, by one step in the index for each."""
    statement = select(func.min(_EVENTS.c.tenant))
    with read() as session:
        tenant = session.execute(statement).scalar_one()
    while tenant is not None:
        yield tenant
        with read() as session:
            tenant = session.execute(statement.where(_EVENTS.c.tenant > tenant)).scalar_one()


def _list_refusals(wanted: Wanted, part: Part) -> Listed[WebhookRecord]:
    found = listed(_refusals(wanted), order_of(wanted), part)
    return replace(found, items=[WebhookRecord(*row) for row in found.items])


def _nothing(part: Part) -> Listed[WebhookRecord]:
    return Listed([], total=None if part.offset is None else 0)


def _refusals(wanted: Wanted) -> Select[Any]:
    found: dict[str, Any] = {
        **dict.fromkeys(_COLUMNS, null()),
        **{name: _REFUSALS.c[name] for name in ("provider", "channel", "reason", "received_at")},
        "status": literal_column(f"'{REJECTED}'"),
    }
    columns = [found[name].label(name) for name in _COLUMNS]
    statement = select(*columns, null().label("meeting_link")).select_from(_REFUSALS)
    return statement if wanted.since is None else statement.where(_REFUSALS.c.received_at >= wanted.since)


# --- bodies ---------------------------------------------------------------------------------------------------------

_SECRET_NAME = re.compile(
    r"token|secret|passw|authori[sz]ation|signature|credential|jwt|api_?key|access_?key|private", re.I
)
# Each character is looked at a few times at most, because participants write a part of a body: no search that fails
# begins again within what it has read.
_WORD = re.compile(r"[^\s\"']+")
_NAMED = re.compile(rf"((?:{_SECRET_NAME.pattern})\w{{0,64}}[\\\"']*\s*[:=]\s*[\\\"']*)[^\s\"'&,}}\\]+", re.I)
_JWT = re.compile(r"(?<![\w-])[\w-]{10,}+\.[\w-]{10,}+\.[\w-]{10,}", re.ASCII)
REDACTED = "***"


def redacted(body: bytes) -> str:
    """Return a raw body for people, without secrets. JSON is indented; anything else is returned as text.

    Blanked are values whose names say that they are secret, JSON Web Tokens, and the queries of URLs, which may sign
    them.
    """
    text = body.decode("utf-8", errors="backslashreplace")
    with suppress(ValueError, RecursionError):
        text = json.dumps(_without_secrets(json.loads(text)), indent=2, ensure_ascii=False)
    text = _WORD.sub(_without_query, text)
    text = _NAMED.sub(rf"\1{REDACTED}", text)  # also in what is not JSON, and in JSON within a string
    return _JWT.sub(REDACTED, text)


def _without_query(word: re.Match[str]) -> str:
    scheme, _, rest = word[0].partition("://")
    path, _, query = rest.partition("?")
    return f"{scheme}://{path}?{REDACTED}" if query else word[0]


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: REDACTED if _SECRET_NAME.search(name) and one is not None else _without_secrets(one)
            for name, one in value.items()
        }
    return [_without_secrets(one) for one in value] if isinstance(value, list) else value
