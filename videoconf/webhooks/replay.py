"""Process a stored webhook event again, for example after an upgrade that reads what an earlier release could not.

Merging evidence is idempotent, so processing an event again never counts anything twice.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from videoconf.audit import record
from videoconf.db.transactions import Transaction, statements
from videoconf.errors import ProviderNotEnabled, WebhookEventNotFound, WebhookEventNotKept
from videoconf.hooks import Providers
from videoconf.providers import EventKind, ProviderEvent, ProviderPort, WebhookRequest
from videoconf.tenancy import Caller
from videoconf.webhooks.codec import event_from_json
from videoconf.webhooks.models import EventStatus
from videoconf.webhooks.receive import INBOX, Outcome, find_meeting, note_outcome, report, settle, take

READ_AGAIN = "A replay could read it: its events have rows of their own."


def replay(caller: Caller, providers: Providers, event_id: int) -> Outcome:
    """Parse the stored body with the present plugin and apply its event; return the outcome.

    An orphan's event is stored in its row, so it needs no body. A webhook that could not be read, and now can, becomes
    the events that it holds; its own row is then ignored. The audit trail notes the replay.

    :raises WebhookEventNotFound: no event has this id.
    :raises WebhookEventNotKept: its body was deleted.
    :raises ProviderNotEnabled: its provider is not enabled, so that its plugin cannot read the body.
    """
    with statements(atomic=True) as transaction:
        # Do not lock the row here: code that binds a session locks the session first, and then the rows of its orphans.
        row = transaction.execute(select(INBOX).where(INBOX.c.id == event_id)).one_or_none()
        if row is None:
            raise WebhookEventNotFound
        provider = providers.find(row.provider)
        if provider is None or provider.account != row.account:
            raise ProviderNotEnabled(f"The provider {row.provider} is not enabled with the account of this event.")
        outcome = _process(transaction, provider, row)
        after = {"status": outcome.status, "before": row.status}
        record(transaction, caller, "webhook.replayed", target=str(event_id), after=after)
    report(row.provider, row.channel, outcome)
    return outcome


def _process(transaction: Transaction, provider: ProviderPort, row: Any) -> Outcome:
    if row.body is None:
        if row.event is None:
            raise WebhookEventNotKept
        return _settled(transaction, provider, row, event_from_json(row.event))
    request = WebhookRequest(row.channel, "POST", "", {}, row.body, row.received_at)
    events = provider.parse_webhook(request)
    for event in events:
        if event.dedupe_key == row.dedupe_key:
            return _settled(transaction, provider, row, event)
    for event in events:
        take(transaction, provider, request, event, request.body)
    outcome = Outcome(EventStatus.IGNORED.value, READ_AGAIN)
    note_outcome(transaction, row.id, outcome, events[0] if events else _NOTHING)
    return outcome


def _settled(transaction: Transaction, provider: ProviderPort, row: Any, event: ProviderEvent) -> Outcome:
    if event.kind is EventKind.IGNORED or event.session_id is None:
        return Outcome(row.status, row.reason)
    meeting = find_meeting(transaction, provider, event)
    outcome = settle(transaction, provider, row.received_at, event, meeting)
    note_outcome(transaction, row.id, outcome, event)
    return outcome


_NOTHING = ProviderEvent(EventKind.IGNORED, "nothing")
