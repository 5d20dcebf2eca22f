"""Moderate a meeting: disconnect and mute participants at the provider."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import select

from videoconf.attendance.models import AttendeeConnection
from videoconf.attendance.streams import find_streams
from videoconf.audit import record
from videoconf.db.transactions import read, write
from videoconf.errors import ConnectionNotFound, MeetingNotFound, ProviderError
from videoconf.hooks import Providers
from videoconf.meetings.models import Meeting, refuse_ended
from videoconf.providers import Capability, ProviderPort, SessionRef
from videoconf.tenancy import Caller, visible_to


class Moderation:
    """Disconnects and mutes participants. Thread-safe.

    Stores only audit entries: webhooks report who is connected, and until when. The entry of the request is committed
    before the provider is called, so the trail has no gap when the outcome is unknown or the process ends.

    :raises MeetingNotFound: no meeting of the tenant has this link.
    :raises MeetingEnded: also for a deleted meeting.
    :raises CapabilityUnsupported: the provider cannot moderate.
    :raises ConnectionNotFound: the meeting never had a connection with this id.
    :raises ProviderError: with ``outcome_unknown`` the provider may have done it; the audit entry says so.
    """

    def __init__(self, providers: Providers) -> None:
        self._providers = providers

    def disconnect(self, caller: Caller, link: str, connection_id: str) -> None:
        """Disconnect one connection. Idempotent: succeeds if the connection has already left."""
        meeting, moderator = self._find_moderator(caller, link, connection_id)
        with self._recorded(caller, link, ("attendee.disconnect_requested", "attendee.disconnected"), connection_id):
            moderator.disconnect(SessionRef(meeting.account, meeting.session_id), connection_id)

    def mute(self, caller: Caller, link: str, connection_id: str | None = None) -> None:
        """Mute the present streams of one connection, or without ``connection_id`` of all. Idempotent."""
        meeting, moderator = self._find_moderator(caller, link, connection_id)
        if meeting.session_id is None:
            return  # the provider creates the room with the first token, which was not issued yet
        with read() as session:
            streams = find_streams(session, meeting.id)
        who = "meeting" if connection_id is None else "attendee"
        with self._recorded(caller, link, (f"{who}.mute_requested", f"{who}.muted"), connection_id):
            moderator.mute(SessionRef(meeting.account, meeting.session_id), connection_id, streams)

    def _find_moderator(self, caller: Caller, link: str, connection_id: str | None) -> tuple[Any, ProviderPort]:
        """Return the meeting and its provider, after all checks."""
        with read() as session:
            meeting = session.execute(
                select(
                    Meeting.id, Meeting.provider, Meeting.account, Meeting.session_id, Meeting.end_time, Meeting.deleted
                ).where(Meeting.meeting_link == link, Meeting.is_ready, visible_to(caller, Meeting.tenant))
            ).one_or_none()
            if meeting is None:
                raise MeetingNotFound
            is_known = connection_id is None or session.get(AttendeeConnection, (meeting.id, connection_id)) is not None
        refuse_ended(meeting)
        provider = self._providers.get(meeting.provider)
        provider.require(Capability.MODERATION)
        if not is_known:
            raise ConnectionNotFound
        return meeting, provider

    @contextmanager
    def _recorded(
        self, caller: Caller, link: str, actions: tuple[str, str], connection_id: str | None
    ) -> Iterator[None]:
        """Record the provider call of the block: the request before it, the result after it unless it surely failed.

        :param actions: the names of the request and of its result.
        """
        requested, done = actions
        with write() as session:
            record(session, caller, requested, meeting_link=link, target=connection_id)
        error = None
        try:
            yield
        except ProviderError as raised:
            if not raised.outcome_unknown:
                raise
            error = raised
        with write() as session:
            after = None if error is None else {"outcome": "unknown", "error": error.code}
            record(session, caller, done, meeting_link=link, target=connection_id, after=after)
        if error is not None:
            raise error
