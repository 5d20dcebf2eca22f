"""Receiving a webhook: verified, stored once, applied, all in one transaction; acknowledged means visible.

The sender gets an error only where a repetition can help: our own storage failed. Everything authentic is taken,
duplicates, unknown events, unknown sessions and unreadable bodies included.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Insert, bindparam, literal, literal_column, select, update
from sqlalchemy.dialects import postgresql

from videoconf.archives.automatic import record_on_join
from videoconf.archives.merge import merge_evidence as merge_archive_evidence
from videoconf.attendance import merge, streams
from videoconf.db.functions import greatest
from videoconf.db.transactions import Transaction, dialect_of, entities, statements
from videoconf.db.types import UTCDateTime
from videoconf.db.upsert import upserts
from videoconf.errors import WebhookRejected
from videoconf.events.changes import EVERYTHING, note_change
from videoconf.jobs.kinds import END_SESSION
from videoconf.jobs.queue import enqueue_once
from videoconf.meetings.bans import has_bans, hold_on_join
from videoconf.meetings.models import Meeting
from videoconf.meetings.session import Bound, Replay, lock_session
from videoconf.observability.log_context import bind_log_context
from videoconf.observability.metrics import WEBHOOK_EVENTS
from videoconf.providers import EventKind, ProviderEvent, ProviderPort, SessionRef, WebhookReply, WebhookRequest
from videoconf.providers.port import UNREADABLE
from videoconf.webhooks.codec import event_from_json, event_to_json
from videoconf.webhooks.credibility import arrives_in_time, credible
from videoconf.webhooks.models import REJECTED, EventStatus, WebhookEvent
from videoconf.webhooks.refusals import as_reason

REJOINS_SECONDS = 1.0
"""Participants who rejoin an ended meeting within this time are disconnected together."""

logger = logging.getLogger(__name__)

OnRefusal = Callable[[str, str, str, datetime], None]
"""Called with the provider's key, the channel, the reason and the time of a refused webhook."""


@dataclass(frozen=True)
class Outcome:
    """What became of an event, and why where it is quarantined."""

    status: str
    reason: str | None = None


def receive(
    provider: ProviderPort, request: WebhookRequest, on_refusal: OnRefusal = lambda *refusal: None
) -> WebhookReply | None:
    """Take one webhook; return the answer to a handshake, or None when it was an ordinary one.

    :raises WebhookRejected: its origin is not proven; no event is stored.
    :raises DatabaseUnavailable: it was not stored; the sender should come again.
    """
    try:
        provider.verify_webhook(request)
    except WebhookRejected as error:
        reason = as_reason(error.detail)
        WEBHOOK_EVENTS.labels(provider.key, REJECTED).inc()
        logger.warning("webhook rejected: provider %s, channel %s: %s", provider.key, request.channel, reason)
        on_refusal(provider.key, request.channel, reason, request.received_at)
        raise
    if (reply := provider.answer_handshake(request)) is not None:
        return reply
    events, body = provider.parse_webhook(request), provider.storable_body(request)
    with statements(atomic=True) as transaction:
        outcomes = [take(transaction, provider, request, event, body) for event in events]
    for outcome in outcomes:  # once it is committed: what was rolled back comes again
        report(provider.key, request.channel, outcome)
    return None


def report(provider: str, channel: str, outcome: Outcome) -> None:
    """Count the outcome of an event, and log a quarantined event."""
    WEBHOOK_EVENTS.labels(provider, outcome.status).inc()
    if outcome.status == EventStatus.QUARANTINED:
        logger.warning("webhook quarantined: provider %s, channel %s: %s", provider, channel, outcome.reason)


def take(
    transaction: Transaction, provider: ProviderPort, request: WebhookRequest, event: ProviderEvent, body: bytes | None
) -> Outcome:
    """Store one event and apply it, unless it was stored before; return the outcome."""
    expected = Outcome(EventStatus.APPLIED.value)
    if event.kind is EventKind.IGNORED or event.session_id is None:
        expected = Outcome(EventStatus.IGNORED.value)
        if event.dedupe_key.startswith(UNREADABLE):
            expected = Outcome(EventStatus.QUARANTINED.value, event.reason)
    row = {
        "provider": provider.key,
        "account": provider.account,
        "channel": request.channel,
        "dedupe_key": event.dedupe_key,
        "kind": event.kind.value,  # the driver takes longer to see that a member is a text
        "status": expected.status,
        "reason": expected.reason,
        "session_id": event.session_id,
        "received_at": request.received_at,
        "body": body,
    }
    stored = transaction.execute(_STORE_ONCE[dialect_of(transaction)], row | _of_session(provider, event)).one_or_none()
    if stored is None:
        return Outcome("duplicate")
    if stored.meeting_link is not None:
        bind_log_context(meeting_link=stored.meeting_link)
    if expected.status != EventStatus.APPLIED:
        return expected
    outcome = settle(transaction, provider, request.received_at, event, stored)
    if outcome != expected:
        note_outcome(transaction, stored.id, outcome, event)
    elif event.kind is EventKind.JOINED and provider.records_on_join:
        record_on_join(transaction, provider, event.session_id or "")
    return outcome


def note_outcome(transaction: Transaction, event_id: int, outcome: Outcome, event: ProviderEvent) -> None:
    """Write the outcome of an event into its row; an orphan's row keeps the event itself."""
    kept = event_to_json(event) if outcome.status == EventStatus.ORPHAN else None
    values = {"status": outcome.status, "reason": outcome.reason, "event": kept}
    transaction.execute(update(INBOX).where(INBOX.c.id == event_id).values(values))


def _of_session(provider: ProviderPort, event: ProviderEvent) -> dict[str, Any]:
    return {"of_provider": provider.key, "of_account": provider.account, "of_session": event.session_id}


def _store_once(statement: postgresql.Insert) -> Insert:
    # Only a returned row tells a new event from a known one: the row count is -1 under psycopg here.
    once = statement.on_conflict_do_nothing(index_elements=["provider", "account", "dedupe_key"])
    # Nearly every event has a meeting, so its columns come without a round trip of their own.
    meeting = (_MEETING_OF.with_only_columns(column).scalar_subquery().label(column.name) for column in _NEEDED)
    return once.returning(INBOX.c.id, *meeting)


INBOX: Any = WebhookEvent.__table__
_MEETINGS: Any = Meeting.__table__
_MEETING = _MEETINGS.c
_NEEDED = (
    _MEETING.id.label("meeting_id"),
    _MEETING.created_on,
    _MEETING.meeting_link,
    has_bans(_MEETING.id).label("has_bans"),
)
_MEETING_OF = select(*_NEEDED).where(
    _MEETING.provider == bindparam("of_provider"),
    _MEETING.account == bindparam("of_account"),
    _MEETING.session_id == bindparam("of_session"),
)
_STORE_ONCE = upserts(INBOX, _store_once)


_ORPHANS = (
    select(INBOX.c.id, INBOX.c.channel, INBOX.c.event)
    .where(
        INBOX.c.provider == bindparam("of_provider"),
        INBOX.c.account == bindparam("account"),
        INBOX.c.session_id == bindparam("session_id"),
        # Inlined: with a bound parameter PostgreSQL cannot use the partial index.
        INBOX.c.status == literal_column(f"'{EventStatus.ORPHAN}'"),
    )
    .order_by(INBOX.c.id)
)


def _replay(transaction: Transaction, bound: Bound) -> None:
    """Apply the events that arrived for a session before its meeting was known."""
    of_session = {
        "of_provider": bound.provider,
        "account": bound.session.account,
        "session_id": bound.session.session_id,
    }
    for orphan in transaction.execute(_ORPHANS, of_session).all():
        event = event_from_json(orphan.event or {})
        outcome = _apply_if_credible(transaction, bound.meeting_id, bound.created_on, event, has_bans=True)
        note_outcome(transaction, orphan.id, outcome, event)
        if outcome.status == EventStatus.QUARANTINED:
            report(bound.provider, orphan.channel, outcome)


REPLAY = Replay(_ORPHANS.exists(), _replay)
"""For :class:`videoconf.meetings.session.Sessions`, which does not know who receives webhooks."""


def settle(
    transaction: Transaction, provider: ProviderPort, received_at: datetime, event: ProviderEvent, stored: Any = None
) -> Outcome:
    """Apply an event to its meeting, or say why not.

    :param stored: the inbox's row, with the meeting's columns where these were looked up with it.
    """
    if not arrives_in_time(event, received_at, provider.capabilities.retry_horizon):
        return Outcome(EventStatus.QUARANTINED.value, "Its time is too far from its arrival.")
    meeting = stored
    if meeting is None or meeting.meeting_id is None:
        lock_session(transaction, provider.key, SessionRef(provider.account, event.session_id or ""))
        meeting = transaction.execute(_MEETING_OF, _of_session(provider, event)).one_or_none()
    if meeting is None:
        return Outcome(EventStatus.ORPHAN.value)
    return _apply_if_credible(transaction, meeting.meeting_id, meeting.created_on, event, has_bans=meeting.has_bans)


def _apply_if_credible(
    transaction: Transaction, meeting_id: int, created_on: datetime, event: ProviderEvent, *, has_bans: bool
) -> Outcome:
    """Apply an event that is not older than its meeting can explain; the same for one that was an orphan before.

    :param has_bans: whether the meeting may have bans.
    """
    believed = credible(event, created_on)
    if believed is None:
        return Outcome(EventStatus.QUARANTINED.value, "Its time is before its meeting was created.")
    return Outcome(_apply(transaction, meeting_id, believed, has_bans=has_bans).value)


def _apply(transaction: Transaction, meeting_id: int, event: ProviderEvent, *, has_bans: bool) -> EventStatus:
    """Change what the event is evidence for. Idempotent and independent of order."""
    if event.kind in (EventKind.JOINED, EventKind.LEFT, EventKind.ACTIVITY):
        if event.connection_id is None or event.at is None:
            return EventStatus.IGNORED
        ended = merge.merge(transaction, meeting_id, event)
        streams.merge(transaction, meeting_id, event)
        if event.kind is EventKind.JOINED and ended is None and has_bans:
            hold_on_join(transaction, meeting_id, event.attendee)
        if event.kind is EventKind.JOINED and ended is not None and event.at > ended:
            # A token outlives its meeting. A participant who joins with it is shown, and a job disconnects them.
            enqueue_once(transaction, END_SESSION, "meeting_id", meeting_id, delay_seconds=REJOINS_SECONDS)
    elif event.kind is EventKind.SESSION_CLOSED:
        closed_at = greatest(_MEETING.closed_at, literal(event.at, UTCDateTime()))
        transaction.execute(update(_MEETINGS).where(_MEETING.id == meeting_id).values(closed_at=closed_at))
        note_change(transaction, meeting_id, EVERYTHING)
    elif event.kind is EventKind.ARCHIVE:
        if event.archive is None:
            return EventStatus.IGNORED
        with entities(transaction) as session:
            merge_archive_evidence(session, meeting_id, event.archive)
    return EventStatus.APPLIED
