"""What the lists of the API can be asked for: each offered filter, by a value that most rows have and by one that few
have, and each order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import product
from typing import Any, NamedTuple

from bench.skewed import BEGIN, BUSY, CROWDED

PART = 50


class List(NamedTuple):
    """A list of the API."""

    path: str
    """As in the OpenAPI document."""
    tables: tuple[str, ...]
    """What it reads."""
    paths: Callable[[int], Iterator[str]]
    """Gives the requests for a number of rows, each with a ``?``."""
    has_pages: bool = True
    of_tenant: bool = True
    """Whether another tenant may ask for these paths, and gets its own rows."""


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _rare(count: int) -> int:
    """Return the number of a row that differs from most, of the tenant that most rows have."""
    return count // 100 * 100 - (100 if count // 100 % 10 == 0 else 0)


def _offered(path: str, count: int) -> Iterator[str]:
    """Give the combinations of a list that declares them."""
    from videoconf import audit
    from videoconf.archives import queries as archives
    from videoconf.formats import camel_case
    from videoconf.meetings import queries as meetings

    offered = {"/session": meetings.OFFERED, "/archives": archives.OFFERED, "/audit": audit.OFFERED}[path]
    rare, middle = count // 100 * 100, BEGIN + timedelta(seconds=count // 2)
    values = {
        "ext_id": ("same", f"order-{rare}"),
        "attendee": ("guest", f"u{rare}", "unknown"),
        "provider": ("fake", "other"),
        "meeting_link": (f"m{count // 2}",),
        "session_id": (f"s{count // 2}",),
        "actor": ("backend", f"u{rare}", "unknown"),
        "action": ("meeting.created", "meeting.ended", "unknown"),
    }
    statuses = {"/session": ("ended", "open", "deleted", "scheduled"), "/archives": ("available", "failed", "deleting")}
    for filters, sorts in offered.filters.items():
        names = sorted(filters)
        choices = (statuses[path] if name == "status" else values[name] for name in names)
        for given, sort in product(list(product(*choices)), sorts):
            query = [f"{camel_case(name)}={value}" for name, value in zip(names, given, strict=True)]
            since, until = (camel_case(name) for name in offered.ranges[sort])
            for order, bounded in product(("-", "") if path != "/audit" else ("-",), (False, True)):
                bound = f"{until}={_time(middle)}" if order else f"{since}={_time(middle)}"
                sorted_by = [] if path == "/audit" else [f"sort={order}{sort}"]
                yield f"{path}?{'&'.join([*query, *sorted_by, *([bound] if bounded else [])])}"


def _audit(count: int) -> Iterator[str]:
    yield from _offered("/audit", count)
    yield f"/audit?since={_time(BEGIN + timedelta(seconds=count // 2))}"


def _webhooks(count: int) -> Iterator[str]:
    late, middle = (_time(BEGIN + timedelta(seconds=number)) for number in (count - 20, count // 2))
    yield from ("/webhook-events?status=ignored", "/webhook-events?status=rejected")
    yield from ("/webhook-events?meetingLink=unknown", f"/webhook-events?meetingLink=m{_rare(count)}")
    statuses = (None, "applied", "quarantined", "orphan")
    for link, status, since in product((None, BUSY), statuses, (None, middle, late)):
        given = {"meetingLink": link, "status": status, "since": since}
        yield f"/webhook-events?{'&'.join(f'{name}={value}' for name, value in given.items() if value is not None)}"


def _log(count: int) -> Iterator[str]:
    for kind, link in product((None, "meeting.created", "meeting.ended", "attendee.joined"), (None, BUSY, "m100")):
        given = {"type": kind, "meetingLink": link}
        if kind and link == BUSY:  # by both, the events of one meeting are searched: it has few
            continue
        query = "".join(f"{name}={value}&" for name, value in given.items() if value is not None)
        for position in ("after=0", "before=now"):
            yield f"/events?{query}{position}"


def _of_meetings(name: str) -> Callable[[int], Iterator[str]]:
    return lambda count: iter([f"/session/{BUSY}/{name}?", f"/session/m100/{name}?"])


def _deliveries(count: int) -> Iterator[str]:
    for subscription, status in product(("e1", "e2", "e3"), (None, "succeeded", "failed", "pending")):
        yield f"/event-subscriptions/{subscription}/deliveries?{f'status={status}' if status else ''}"


def _jobs(count: int) -> Iterator[str]:
    return (f"/jobs?{f'state={state}' if state else ''}" for state in (None, "done", "dead", "pending"))


def _attendees(count: int) -> Iterator[str]:
    return (f"/session/{CROWDED}/attendees?{query}" for query in ("streams=true", "active=true", "active=false"))


LISTS = (
    List("/session", ("meeting", "attendee_connection", "archive"), lambda count: _offered("/session", count)),
    List("/archives", ("meeting", "archive"), lambda count: _offered("/archives", count)),
    List("/audit", ("audit_entry",), _audit),
    List("/webhook-events", ("meeting", "webhook_event"), _webhooks),
    List("/jobs", ("job",), _jobs),
    List("/events", ("event",), _log, has_pages=False),
    List("/event-subscriptions", ("event_subscription",), lambda count: iter(["/event-subscriptions?"])),
    List(
        "/event-subscriptions/{subscriptionId}/deliveries",
        ("event_subscription", "event_delivery"),
        _deliveries,
        of_tenant=False,
    ),
    List("/session/{meetingLinkId}/attendees", ("meeting", "attendee_connection"), _attendees, of_tenant=False),
    List("/session/{meetingLinkId}/bans", ("meeting", "ban"), _of_meetings("bans"), of_tenant=False),
    List(
        "/session/{meetingLinkId}/invitations", ("meeting", "invitation"), _of_meetings("invitations"), of_tenant=False
    ),
    List(
        "/session/{meetingLinkId}/lobby",
        ("meeting", "invitation", "lobby_entry"),
        _of_meetings("lobby"),
        of_tenant=False,
    ),
)
"""All of them: a test compares them with the OpenAPI document."""


def next_path(path: str, answer: Any) -> str | None:
    """Return the path of the part behind an answer, or None at the end of the list."""
    if path.startswith("/events?"):
        found = answer.json
        if len(found["items"]) < PART:
            return None
        return re.sub(r"(after|before)=\w+", rf"\1={found['next']}", path)
    cursor = answer.headers.get("X-Next-Cursor")
    return None if cursor is None else f"{path.partition('&cursor=')[0]}&cursor={cursor}"
