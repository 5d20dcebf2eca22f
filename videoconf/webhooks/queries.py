"""Look up stored webhook events and refusals: for the command line, and for ``GET /webhook-events``."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, literal_column, null, or_, select, true

from videoconf.db.keyset import Listed, Order, Part
from videoconf.db.pages import by_id, listed
from videoconf.db.transactions import read
from videoconf.errors import WebhookEventNotFound
from videoconf.meetings.models import Meeting
from videoconf.tenancy import Caller, visible_to
from videoconf.webhooks.models import REJECTED, EventStatus, WebhookEvent, WebhookRefusal

STATUSES = (*EventStatus, REJECTED)
"""What a list can be asked for."""

_EVENTS: Any = WebhookEvent.__table__
_REFUSALS: Any = WebhookRefusal.__table__
_COLUMNS = ("id", "provider", "channel", "kind", "status", "reason", "session_id", "received_at")


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
    return by_id(_REFUSALS.c.id if wanted.status == REJECTED else _EVENTS.c.id)


def list_records(caller: Caller | None, wanted: Wanted, part: Part, *, without_meeting: bool) -> Listed[WebhookRecord]:
    """Return a part of the records, newest first.

    Refusals are listed when ``wanted.status`` asks for them, and only then.

    :param caller: sees the events of its tenant's meetings. None: an operator at the machine, who sees every tenant's.
    :param without_meeting: whether to include events that belong to no known meeting. Refusals always do.
    """
    if wanted.status == REJECTED:
        if not without_meeting or wanted.meeting_link is not None:
            return Listed([], total=None if part.offset is None else 0)
        statement = _refusals(wanted)
    else:
        statement = _events(caller, wanted, without_meeting=without_meeting)
    found = listed(statement, order_of(wanted), part)
    return replace(found, items=[WebhookRecord(*row) for row in found.items])


def get_event(event_id: int) -> tuple[WebhookRecord, bytes | None]:
    """Return an event of any tenant, and its raw body while that is kept.

    :raises WebhookEventNotFound: no event has this id.
    """
    with read() as session:
        statement = _events(None, Wanted(), without_meeting=True).add_columns(_EVENTS.c.body)
        row = session.execute(statement.where(_EVENTS.c.id == event_id)).one_or_none()
    if row is None:
        raise WebhookEventNotFound
    *values, body = row
    return WebhookRecord(*values), body


def _events(caller: Caller | None, wanted: Wanted, *, without_meeting: bool) -> Select[Any]:
    of_session = and_(
        Meeting.provider == _EVENTS.c.provider,
        Meeting.account == _EVENTS.c.account,
        Meeting.session_id == _EVENTS.c.session_id,
    )
    visible: ColumnElement[bool] = true() if caller is None else visible_to(caller, Meeting.tenant)
    conditions = [or_(visible, Meeting.id.is_(None)) if without_meeting else visible]
    if wanted.status is not None:
        conditions.append(_EVENTS.c.status == wanted.status)
    if wanted.since is not None:
        conditions.append(_EVENTS.c.received_at >= wanted.since)
    if wanted.meeting_link is not None:
        conditions.append(Meeting.meeting_link == wanted.meeting_link)
    outer = without_meeting and wanted.meeting_link is None
    columns = [_EVENTS.c[name] for name in _COLUMNS]
    return select(*columns, Meeting.meeting_link).join(Meeting, of_session, isouter=outer).where(*conditions)


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
