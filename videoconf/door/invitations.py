"""Inviting people to a meeting: a link with a code, which is stored as a digest and shown once."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from videoconf import idempotency
from videoconf.audit import plain, record
from videoconf.db.conditional import changes_row, update_rows
from videoconf.db.functions import utc_now
from videoconf.db.keyset import Listed, Part
from videoconf.db.pages import by_id, list_objects
from videoconf.db.transactions import read, write
from videoconf.door import codes
from videoconf.door.models import Admission, Invitation, InvitationCode
from videoconf.errors import InvitationNotFound, ValidationFailed
from videoconf.hooks import Providers
from videoconf.meetings.join import check_role, check_role_given, token_role
from videoconf.meetings.models import refuse_ended
from videoconf.meetings.queries import get_meeting
from videoconf.providers import Clock, Role
from videoconf.settings import Settings
from videoconf.tenancy import Caller

BY_ID = by_id(Invitation.id)


@dataclass(frozen=True)
class NewInvitation:
    """Whom to invite, and how they come in."""

    role: Role = Role.PUBLISHER
    attendee: str | None = None
    name: str | None = None
    expires_on: datetime | None = None
    max_uses: int | None = None
    admission: str = Admission.OPEN


class Invitations:
    """The operations. One instance serves all threads."""

    def __init__(self, providers: Providers, settings: Settings, clock: Clock) -> None:
        self._providers = providers
        self._page = f"{settings.public_url}{settings.path_prefix}/join"
        self._clock = clock

    def invite(self, caller: Caller, link: str, new: NewInvitation, key: str | None = None) -> tuple[Invitation, str]:
        """Make an invitation; return it and its URL, which is available only here.

        :param key: the caller's ``Idempotency-Key``. A repetition returns the same invitation and a further URL of it,
            because the first one's code is not stored. Both work, and count as one.
        :raises MeetingNotFound: no meeting of the tenant has this link; :class:`MeetingEnded`: also for a deleted one.
        :raises RoleForbidden: the caller may not give this role.
        :raises CapabilityUnsupported: the meeting's provider lacks the role, and what a moderator needs.
        :raises ValidationFailed: the expiry is past.
        """
        check_role_given(caller, new.role)
        code = codes.new_secret()
        with write() as session:
            claim = None
            if key is not None:
                fingerprint = idempotency.fingerprint({"invite": link, **asdict(new)})
                claim = idempotency.claim(session, caller.tenant, key, fingerprint)
            if isinstance(claim, idempotency.Done):
                invitation = _find(session, caller, link, claim.answer["invitation"])
                target = invitation.public_id
                record(session, caller, "invitation.url_issued", meeting_link=link, target=target)
            else:
                invitation = self._insert(session, caller, link, new)
                if claim is not None:
                    idempotency.finish(session, claim, {"invitation": invitation.public_id})
            session.execute(insert(InvitationCode).values(digest=codes.digest(code), invitation_id=invitation.id))
        return invitation, f"{self._page}#{code}"

    def _insert(self, session: Session, caller: Caller, link: str, new: NewInvitation) -> Invitation:
        meeting = get_meeting(session, caller, link)
        refuse_ended(meeting)
        provider = self._providers.get(meeting.provider)
        check_role(provider, token_role(provider, new.role))
        if new.expires_on is not None and new.expires_on <= self._clock():
            raise ValidationFailed(errors={"expiresOn": ["Must be in the future."]})
        invitation = Invitation(
            public_id=secrets.token_urlsafe(12), meeting_id=meeting.id, created_by=caller.subject, **asdict(new)
        )
        session.add(invitation)
        session.flush()
        after = plain({name: value for name, value in asdict(new).items() if name != "attendee"})
        record(session, caller, "invitation.created", meeting_link=link, target=invitation.public_id, after=after)
        return invitation

    def list_invitations(self, caller: Caller, link: str, part: Part) -> Listed[Any]:
        """Return a part of a meeting's invitations, newest first, revoked ones included."""
        with read() as session:
            meeting = get_meeting(session, caller, link)
        return list_objects(select(Invitation).where(Invitation.meeting_id == meeting.id), BY_ID, part)

    def read_invitation(self, caller: Caller, link: str, invitation_id: str) -> Invitation:
        """Return an invitation.

        :raises InvitationNotFound: the meeting has no such invitation.
        """
        with read() as session:
            return _find(session, caller, link, invitation_id)

    def revoke(self, caller: Caller, link: str, invitation_id: str) -> None:
        """End an invitation, and the seats that it gave. Who is connected stays. Idempotent.

        :raises InvitationNotFound: the meeting has no such invitation.
        """
        with write() as session:
            invitation = _find(session, caller, link, invitation_id)
            unrevoked = update_rows(Invitation).where(Invitation.id == invitation.id, Invitation.revoked_on.is_(None))
            if changes_row(session, unrevoked.values(revoked_on=utc_now(), revoked_by=caller.subject)):
                record(session, caller, "invitation.revoked", meeting_link=link, target=invitation_id)


def _find(session: Session, caller: Caller, link: str, invitation_id: str) -> Invitation:
    meeting = get_meeting(session, caller, link)
    of_meeting = select(Invitation).where(Invitation.meeting_id == meeting.id, Invitation.public_id == invitation_id)
    found = session.execute(of_meeting).scalar_one_or_none()
    if found is None:
        raise InvitationNotFound
    invitation: Invitation = found
    return invitation
