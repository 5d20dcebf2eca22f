"""Subscriptions: the URLs of a tenant that receive its events."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from videoconf.audit import record
from videoconf.db.conditional import update_rows
from videoconf.db.functions import utc_now
from videoconf.db.keyset import Listed, Part
from videoconf.db.pages import by_id, list_objects
from videoconf.db.transactions import lock, read, write
from videoconf.errors import EventSubscriptionLimit, EventSubscriptionNotFound
from videoconf.events.log import bounds_in, check_position
from videoconf.events.sender import Sender
from videoconf.events.signing import Secrets, decrypt, encrypt, new_secret
from videoconf.events.subscription_models import EventSubscription
from videoconf.providers import Clock
from videoconf.storage_targets.cipher import Cipher
from videoconf.tenancy import Caller, visible_to

MOST_OF_TENANT = 20
BY_ID = by_id(EventSubscription.id)

_HOST_ALONE = ("url", "description")
"""What an audit entry does not repeat: a URL may hold a receiver's own secret."""


class Subscriptions:
    """The operations. One instance serves all threads."""

    def __init__(self, cipher: Cipher, sender: Sender, clock: Clock) -> None:
        self._cipher = cipher
        self._sender = sender
        self._clock = clock

    def create(self, caller: Caller, new: Mapping[str, Any]) -> tuple[EventSubscription, str]:
        """Create a subscription for the events from now on; return it with its secret, which is shown this once.

        :param new: ``url``, ``types``, ``meeting_link``, ``description``, ``is_enabled``.
        :raises ValidationFailed: the service does not post to the URL.
        :raises EventSubscriptionLimit: the tenant has as many as it may.
        :raises EncryptionNotConfigured: no key is configured.
        """
        self._sender.check_url(new["url"])
        secret = new_secret()
        encrypted = encrypt(self._cipher, caller.tenant, Secrets(secret))
        with write() as session:
            lock(session, f"event-subscriptions:{caller.tenant}")
            mine = select(func.count()).where(visible_to(caller, EventSubscription.tenant))
            if session.execute(mine).scalar_one() >= MOST_OF_TENANT:
                raise EventSubscriptionLimit(f"A tenant has at most {MOST_OF_TENANT} event subscriptions.")
            newest = bounds_in(session).newest
            row = {
                **new,
                "public_id": f"esub_{secrets.token_hex(12)}",
                "tenant": caller.tenant,
                "secret": encrypted,
                "position": newest,
                "newest": newest,
                "created_by": caller.subject,
                "modified_by": caller.subject,
            }
            created = session.execute(insert(EventSubscription).values(row).returning(EventSubscription)).scalar_one()
            after = _audited(new)
            record(session, caller, "event_subscription.created", target=created.public_id, after=after)
        return created, secret

    def list_part(self, caller: Caller, part: Part) -> Listed[EventSubscription]:
        """Return a part of the tenant's subscriptions, newest first."""
        statement = select(EventSubscription).where(visible_to(caller, EventSubscription.tenant))
        return list_objects(statement, BY_ID, part)

    def get(self, caller: Caller, public_id: str) -> EventSubscription:
        """Return one subscription.

        :raises EventSubscriptionNotFound: the tenant has no such subscription.
        """
        with read() as session:
            return find(session, caller, public_id)

    def edit(self, caller: Caller, public_id: str, changes: Mapping[str, Any]) -> EventSubscription:
        """Change what is given; return the subscription. One that is enabled again goes on from its position.

        :raises EventSubscriptionNotFound: and as for :meth:`create`.
        """
        if "url" in changes:
            self._sender.check_url(changes["url"])
        with write() as session:
            row = find(session, caller, public_id, lock=True)
            changed = {name: value for name, value in changes.items() if getattr(row, name) != value}
            if changed:
                before = {name: getattr(row, name) for name in changed}
                values = {**changed, "modified_on": utc_now(), "modified_by": caller.subject}
                if changed.get("is_enabled") or ("url" in changed and row.is_enabled):
                    values |= self._afresh(session)
                elif changed.get("is_enabled") is False:
                    values["disabled_reason"] = None
                _change(session, row, values)
                after = _audited(changed)
                record(
                    session,
                    caller,
                    "event_subscription.edited",
                    target=public_id,
                    before=_audited(before),
                    after=after,
                )
                session.refresh(row)
            return row

    def _afresh(self, session: Session) -> dict[str, Any]:
        """Return the columns of a subscription that is tried again at once."""
        newest = bounds_in(session).newest
        return {
            "newest": newest,
            "disabled_reason": None,
            "failing_since": None,
            "failures": 0,
            "retry_at": self._clock(),
        }

    def delete(self, caller: Caller, public_id: str) -> None:
        """Delete a subscription with its deliveries.

        :raises EventSubscriptionNotFound: the tenant has no such subscription.
        """
        with write() as session:
            row = find(session, caller, public_id, lock=True)
            session.execute(delete(EventSubscription).where(EventSubscription.id == row.id))
            record(session, caller, "event_subscription.deleted", target=public_id)

    def rotate_secret(self, caller: Caller, public_id: str) -> str:
        """Make a new secret and return it; the one before signs beside it for 24 hours.

        :raises EventSubscriptionNotFound: the tenant has no such subscription.
        :raises EncryptionNotConfigured: no key is configured; :class:`EncryptionKeyUnknown`: the secret's is not.
        """
        with write() as session:
            row = find(session, caller, public_id, lock=True)
            rotated = decrypt(self._cipher, row.tenant, row.secret).rotated(self._clock())
            _change(session, row, {"secret": encrypt(self._cipher, row.tenant, rotated)})
            record(session, caller, "event_subscription.secret_rotated", target=public_id)
        return rotated.current

    def replay(self, caller: Caller, public_id: str, after: int) -> None:
        """Send every event behind a position again. The ids stay, so a receiver knows what it has.

        :raises EventSubscriptionNotFound: the tenant has no such subscription.
        :raises EventCursorExpired: events behind the position were deleted by their age.
        :raises ValidationFailed: no event has had this position yet.
        """
        with write() as session:
            row = find(session, caller, public_id, lock=True)
            log = bounds_in(session)
            position = check_position(after, log)
            _change(session, row, {"position": position, "newest": log.newest})
            record(session, caller, "event_subscription.replayed", target=public_id, after={"after": position})


def find(session: Session, caller: Caller, public_id: str, *, lock: bool = False) -> EventSubscription:
    """Return a subscription of the caller's tenant, with ``lock`` for a change in this transaction.

    :raises EventSubscriptionNotFound: the tenant has no such subscription.
    """
    statement = select(EventSubscription).where(
        EventSubscription.public_id == public_id, visible_to(caller, EventSubscription.tenant)
    )
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    found = session.execute(statement).scalar_one_or_none()
    if found is None:
        raise EventSubscriptionNotFound
    return found


def _change(session: Session, row: EventSubscription, values: Mapping[str, Any]) -> None:
    session.execute(update_rows(EventSubscription).where(EventSubscription.id == row.id).values(dict(values)))


def _audited(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: "(not recorded)" if name in _HOST_ALONE and value else value for name, value in values.items()}
