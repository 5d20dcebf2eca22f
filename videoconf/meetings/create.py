"""Creating a meeting: our row first, then the provider's session outside any transaction, then the row again.

A request that names an ``Idempotency-Key`` makes one meeting however often it is sent and wherever a process dies;
:mod:`videoconf.idempotency` has the protocol. A provider that certainly did not act is replaced by the next that can.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select

from videoconf import idempotency
from videoconf.audit import plain, record
from videoconf.db.conditional import update_rows
from videoconf.db.functions import utc_in
from videoconf.db.transactions import Transaction, statements, write
from videoconf.errors import (
    CapabilityUnsupported,
    IdempotencyInProgress,
    ProviderAuthFailed,
    ProviderBusy,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnavailable,
    ValidationFailed,
)
from videoconf.events.changes import MEETING, note_change
from videoconf.hooks import Providers
from videoconf.meetings.models import Meeting
from videoconf.meetings.schedule import check_schedule_time
from videoconf.meetings.session import Sessions
from videoconf.providers import Capability, Clock, ProviderPort, SessionRef, SessionRequest
from videoconf.storage_targets.in_force import NAME_IN_FORCE, StorageTargets
from videoconf.tenancy import Caller

logger = logging.getLogger(__name__)

ENCRYPTION_EXCLUDES_ARCHIVING = "An end-to-end encrypted meeting cannot be archived."
NOT_EXECUTED = (ProviderUnavailable, ProviderBusy, ProviderRateLimited, ProviderAuthFailed)
"""Failures that certainly left no session, so that another provider may be asked."""
ABANDONED_SECONDS = 300.0
"""How long the client of a creation that was cut off has to come again and complete it, before it is taken back."""
BATCH = 20


@dataclass(frozen=True)
class NewMeeting:
    """A meeting to be created, as the caller asked for it."""

    is_scheduled: bool = False
    schedule_time: datetime | None = None
    enable_archiving: bool = False
    end_to_end_encryption: bool = False
    provider: str | None = None
    provider_options: Mapping[str, Any] = field(default_factory=dict)
    ext_id: str | None = None
    ext_metadata: dict[str, Any] | None = None


@dataclass(frozen=True)
class _Begun:
    """A meeting whose row is committed and whose session is not known yet."""

    id: int
    link: str
    provider: ProviderPort
    """The one to ask for the session."""
    caller: Caller
    claim: idempotency.Claim | None
    failed_over: tuple[tuple[str, str], ...] = ()
    """Providers that were asked in vain, each with the error's code."""


# Built once, and of the table: the entity's takes three times as long.
_MEETING: Any = Meeting.__table__
_INSERT = insert(_MEETING).values(upload_target=NAME_IN_FORCE).returning(_MEETING.c.id)


class Creation:
    """Creates meetings. One instance serves all threads."""

    def __init__(self, providers: Providers, sessions: Sessions, targets: StorageTargets, clock: Clock) -> None:
        self._providers = providers
        self._sessions = sessions
        self._targets = targets
        self._clock = clock

    def create(self, caller: Caller, new: NewMeeting, key: str | None = None) -> str:
        """Create a meeting and, for providers whose rooms last, its session; return the meeting link id.

        :param key: the caller's ``Idempotency-Key``: the same key with the same request gives the same link.
        :raises ValidationFailed: what was asked for is contradictory, or the provider cannot do it; nothing was done.
        :raises IdempotencyKeyReused: the key was used for another request; :class:`IdempotencyInProgress`: the first
            request of the key is still at work.
        :raises ProviderError: no meeting was made. With ``outcome_unknown`` an unused session may be left there, and
            a repetition with the key resumes.
        """
        began = self._begin(caller, new, key)
        if isinstance(began, str):
            return began
        self._open_session(began, new)
        return began.link

    # --- what may be asked of whom ------------------------------------------------------------------------------

    def _stand_ins(self, provider: ProviderPort, new: NewMeeting) -> list[ProviderPort]:
        """Return those that come after a provider and could stand in for it, where the caller left the choice to us."""
        if new.provider is not None or new.provider_options:
            return []
        order = list(self._providers)
        return [other for other in order[order.index(provider) + 1 :] if self._can(other, new)]

    def _choose(self, new: NewMeeting) -> ProviderPort:
        """Return the provider to ask first, if all is right with what is asked for."""
        provider = self._providers.choose(new.provider)
        if new.is_scheduled:
            check_schedule_time(new.schedule_time, self._clock)
        elif new.schedule_time is not None:
            raise ValidationFailed(errors={"scheduleTime": ["Needs isScheduled to be true."]})
        if new.enable_archiving and new.end_to_end_encryption:
            raise ValidationFailed(
                ENCRYPTION_EXCLUDES_ARCHIVING, errors={"enableArchiving": [ENCRYPTION_EXCLUDES_ARCHIVING]}
            )
        for capability, name in _needed(new):
            if not provider.can(capability):
                raise CapabilityUnsupported(
                    f"The provider {provider.key!r} lacks the capability {capability.value!r}.",
                    errors={name: ["Not supported by the provider."]},
                )
        _check_options(provider, new.provider_options)
        return provider

    def _can(self, provider: ProviderPort, new: NewMeeting) -> bool:
        # One whose rooms exist just in time cannot be seen to work now; so it does not prove that it would work.
        return provider.is_eager and all(provider.can(capability) for capability, _ in _needed(new))

    # --- the row, the session, the row --------------------------------------------------------------------------

    def _begin(self, caller: Caller, new: NewMeeting, key: str | None) -> _Begun | str:
        """Commit the meeting's row, or find the one that the key began; return its link when nothing is left to do."""
        if key is not None:
            return self._begin_once(caller, new, key)
        provider = self._choose(new)
        if not provider.is_eager:
            with write() as session:
                begun = self._insert(session, caller, new, provider)
                note_change(session, begun.id, MEETING)
                return self._finish(session, begun, new)
        with statements() as connection:
            return self._insert(connection, caller, new, provider)

    def _begin_once(self, caller: Caller, new: NewMeeting, key: str) -> _Begun | str:
        with write() as session:
            claim = idempotency.claim(session, caller.tenant, key, idempotency.fingerprint(asdict(new)))
            if isinstance(claim, idempotency.Done):
                return _replayed(claim.answer)
            if claim.target is not None:
                of_link = Meeting.meeting_link == claim.target
                found = session.execute(select(Meeting.id, Meeting.provider).where(of_link)).one()
                # Ask the provider of the earlier attempt again.
                return _Begun(found.id, claim.target, self._providers.get(found.provider), caller, claim)
            # Only now: what was valid when its key came first may be so no more. A refusal takes the claim back.
            provider = self._choose(new)
            begun = self._insert(session, caller, new, provider, claim)
            if not provider.is_eager:
                note_change(session, begun.id, MEETING)
                return self._finish(session, begun, new)
            idempotency.aim(session, claim, begun.link)
            return begun

    def _insert(
        self,
        transaction: Transaction,
        caller: Caller,
        new: NewMeeting,
        provider: ProviderPort,
        claim: idempotency.Claim | None = None,
    ) -> _Begun:
        link = secrets.token_urlsafe(16)
        row = {
            "meeting_link": link,
            "tenant": caller.tenant,
            "is_ready": not provider.is_eager,
            "provider": provider.key,
            "account": provider.account,
            "is_scheduled": new.is_scheduled,
            "schedule_time": new.schedule_time,
            "is_archived": new.enable_archiving,
            "end_to_end_encryption": new.end_to_end_encryption,
            "provider_options": dict(new.provider_options),
            "target_owner": self._targets.owner(caller.tenant, provider),
            "ext_id": new.ext_id,
            "ext_metadata": new.ext_metadata,
            "created_by": caller.subject,
            "modified_by": caller.subject,
        }
        return _Begun(transaction.execute(_INSERT, row).scalar_one(), link, provider, caller, claim)

    def _open_session(self, begun: _Begun, new: NewMeeting) -> None:
        """Give a new meeting its session; take its row back when the provider certainly made none."""
        request = SessionRequest(begun.link, new.enable_archiving, new.end_to_end_encryption, new.provider_options)
        stand_ins = self._stand_ins(begun.provider, new)
        try:
            while True:
                try:
                    target_id, request = self._with_storage(begun, request)
                    ref = begun.provider.ensure_session(request)
                    break
                except NOT_EXECUTED as error:
                    if not stand_ins:
                        raise
                    failed, stand_in = begun.provider.key, stand_ins.pop(0)
                    logger.warning("provider %s failed (%s): the meeting uses %s", failed, error.code, stand_in.key)
                    over = (*begun.failed_over, (failed, error.code))
                    begun = replace(begun, provider=stand_in, failed_over=over)
                    self._move(begun)
            self._bind(begun, ref, target_id, new)
        except ProviderError as error:
            if error.outcome_unknown and begun.claim is not None:
                idempotency.release(begun.claim)
            else:
                self._give_up(begun, error if isinstance(error, ProviderRejected) else None)
            raise

    def _with_storage(self, begun: _Begun, request: SessionRequest) -> tuple[int | None, SessionRequest]:
        """Return the request with the target of archives that start by themselves, and that target's row."""
        found = self._targets.find_destination(begun.caller.tenant, begun.provider) if request.archiving else None
        target_id, storage = found or (None, None)
        return target_id, replace(request, storage=storage)

    def _move(self, begun: _Begun) -> None:
        with write() as session:
            if begun.claim is not None and not idempotency.renew(session, begun.claim):
                raise IdempotencyInProgress(retry_after_seconds=1)  # the meeting is another request's to move
            session.execute(
                update_rows(Meeting)
                .where(Meeting.id == begun.id, Meeting.is_ready.is_(False))
                .values(provider=begun.provider.key, account=begun.provider.account, upload_target=NAME_IN_FORCE),
                {"target_owner": self._targets.owner(begun.caller.tenant, begun.provider)},
            )

    def _bind(self, begun: _Begun, ref: SessionRef, target_id: int | None, new: NewMeeting) -> None:
        with statements(atomic=True) as transaction:
            if not self._sessions.bind(transaction, begun.id, begun.provider.key, ref, target_id):
                # Another request of the key was faster, or moved the meeting to another provider: ours is left unused.
                logger.warning("session %s of provider %s stays unused", ref.session_id, begun.provider.key)
                raise IdempotencyInProgress(retry_after_seconds=1)
            self._finish(transaction, begun, new)

    def _finish(self, transaction: Transaction, begun: _Begun, new: NewMeeting) -> str:
        """Note that the meeting is made, under its key and in the audit trail; return its link."""
        if begun.claim is not None and not idempotency.finish(transaction, begun.claim, {"link": begun.link}):
            raise IdempotencyInProgress(retry_after_seconds=1)  # rolls everything of this block back
        asked = {name: value for name, value in asdict(new).items() if value not in (None, False, {})}
        over = {"failed_over": dict(begun.failed_over)} if begun.failed_over else {}
        after = plain({**asked, "provider": begun.provider.key, **over})
        record(transaction, begun.caller, "meeting.created", meeting_link=begun.link, after=after)
        return begun.link

    def _give_up(self, begun: _Begun, rejected: ProviderRejected | None = None) -> None:
        """Take the row back. What the provider refused is kept under the key: it would be refused again."""
        with write() as session:
            if begun.claim is not None:
                answer = {"rejected": rejected.detail, "errors": rejected.errors} if rejected else None
                still_ours = (
                    idempotency.finish(session, begun.claim, answer)
                    if answer is not None
                    else idempotency.forget(session, begun.claim)
                )
                if not still_ours:
                    return
            session.execute(delete(Meeting).where(Meeting.id == begun.id, Meeting.is_ready.is_(False)))

    # --- what was cut off ---------------------------------------------------------------------------------------

    def take_back_abandoned(self) -> None:
        """Take back creations that a crash or an unknown outcome left, when their client has not come again.

        The session that may have been made is not referenced by anything. A key that aimed at the meeting is free.
        """
        with write() as session:
            old = (
                select(Meeting.id, Meeting.meeting_link)
                .where(Meeting.is_ready.is_(False), Meeting.created_on < utc_in(-ABANDONED_SECONDS))
                .order_by(Meeting.id)
                .limit(BATCH)
                .with_for_update(skip_locked=True)
            )
            for row in session.execute(old).all():
                if idempotency.abandon(session, row.meeting_link):
                    session.execute(delete(Meeting).where(Meeting.id == row.id, Meeting.is_ready.is_(False)))


def _needed(new: NewMeeting) -> list[tuple[Capability, str]]:
    """List the capabilities that a meeting needs, each with the field that asks for it."""
    asked = [
        (new.enable_archiving, Capability.AUTOMATIC_ARCHIVING, "enableArchiving"),
        (new.end_to_end_encryption, Capability.END_TO_END_ENCRYPTION, "endToEndEncryption"),
    ]
    return [(capability, name) for wanted, capability, name in asked if wanted]


def _check_options(provider: ProviderPort, options: Mapping[str, Any]) -> None:
    if not options:
        return
    if not provider.takes_options:
        raise ValidationFailed(errors={"providerOptions": ["The provider takes no options."]})
    if wrong := provider.validate_options(options):
        raise ValidationFailed(errors={f"providerOptions.{name}": messages for name, messages in wrong.items()})


def _replayed(answer: Mapping[str, Any]) -> str:
    if "link" in answer:
        return str(answer["link"])
    raise ProviderRejected(answer["rejected"], errors=answer["errors"])
