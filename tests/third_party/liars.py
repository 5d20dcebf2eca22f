"""Providers that misbehave in one way each: one for every scenario of the kit, which must be the only one to fail.

They are fakes; those that lie about HTTP are in :mod:`tests.third_party.liars_over_http`.
"""

import json
import logging
import socket
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

from marshmallow import INCLUDE, Schema

from tests.plugins.fake.fake_kit import FakeKit
from videoconf.errors import (
    ProviderConflict,
    ProviderRejected,
    ProviderResourceNotFound,
    ProviderUnavailable,
)
from videoconf.providers import (
    ArchiveState,
    ArchiveStatus,
    Capability,
    JoinToken,
    Role,
    Roster,
    RosterConnection,
)
from videoconf_fake.provider import PushingFakeProvider

LIARS = {}


class Honest(PushingFakeProvider):
    """What all of them would be but for one thing."""


def liar(scenario, kit=FakeKit):
    def register(cls):
        name = f"{scenario}-{cls.__name__}" if scenario in LIARS else scenario  # some lie in a second way
        LIARS[name] = type(f"Kit{scenario}", (kit,), {"cls": cls})
        return cls

    return register


# --- what it is -----------------------------------------------------------------------------------------------------


@liar("P01")
class HasNoLabel(Honest):
    label = " "


@liar("P02")
class ChangesItsAccount(Honest):
    @property
    def account(self):
        return f"fake-{id(self)}"


@liar("P03")
class HidesARoster(Honest):
    @property
    def capabilities(self):
        can = super().capabilities
        return replace(can, features=can.features - {Capability.ROSTER})


@liar("P04")
class TakesAnErrorForSuccess(Honest):
    @property
    def capabilities(self):
        return replace(super().capabilities, webhook_success_status=500)


# --- sessions and tokens --------------------------------------------------------------------------------------------


@liar("P05")
class HasOneRoom(Honest):
    def ensure_session(self, request):
        return super().ensure_session(replace(request, meeting_id="the-one-room"))


@liar("P06")
class MakesARoomEachTime(Honest):
    made = 0

    def ensure_session(self, request):
        self.made += 1
        return super().ensure_session(replace(request, meeting_id=f"{request.meeting_id}-{self.made}"))


@liar("P07")
class EndsOnce(Honest):
    def __init__(self, settings, context):
        super().__init__(settings, context)
        self.ended = set()

    def end_session(self, session, connections):
        if session.session_id in self.ended:
            raise ProviderResourceNotFound
        self.ended.add(session.session_id)
        super().end_session(session, connections)


@liar("P08")
class TakesAnyOption(Honest):
    class options_schema(Schema):
        class Meta:
            unknown = INCLUDE


@liar("P09")
class CannotArchiveByItself(Honest):
    def ensure_session(self, request):
        if request.archiving:
            raise ProviderRejected("not here")
        return super().ensure_session(request)


@liar("P10")
class LetsNoModeratorIn(Honest):
    def issue_token(self, session, request):
        issued = super().issue_token(session, request)
        return JoinToken(None, issued.expires_at) if request.role is Role.MODERATOR else issued


@liar("P11")
class ForgetsWhenTokensExpire(Honest):
    def issue_token(self, session, request):
        issued = super().issue_token(session, request)
        return replace(issued, expires_at=issued.expires_at + timedelta(hours=1))


@liar("P12")
class TakesAllForOne(Honest):
    def issue_token(self, session, request):
        attendee = "kit-ann" if request.attendee == "kit-bob" else request.attendee
        return super().issue_token(session, replace(request, attendee=attendee))


@liar("P13")
class WidensRoles(Honest):
    @property
    def capabilities(self):
        return replace(super().capabilities, roles=frozenset({Role.PUBLISHER}))


@liar("P14")
class BoastsOfData(Honest):
    @property
    def capabilities(self):
        return replace(super().capabilities, max_data_characters=5000)


@liar("P15")
class BelongsToAThread(Honest):
    def __init__(self, settings, context):
        super().__init__(settings, context)
        self.owner = threading.get_ident()

    def issue_token(self, session, request):
        if threading.get_ident() != self.owner:
            raise RuntimeError("made in another thread")
        return super().issue_token(session, request)


@liar("P16")
class IsNeverWell(Honest):
    def check(self):
        raise ProviderUnavailable


@liar("P17")
class ClosesOnce(Honest):
    closed = False

    def close(self):
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True
        super().close()


@liar("P24")
class TalksInItsSleep(Honest):
    def check(self):
        logging.getLogger("talker").info("my secret is %s", self.settings.token_secret.reveal())


@liar("P25")
class MakesEverybodyHost(Honest):
    def issue_token(self, session, request):
        return super().issue_token(session, replace(request, role=Role.MODERATOR))


@liar("P26")
class LetsPeopleInForDays(Honest):
    def issue_token(self, session, request):
        longer = min(request.expires_at + timedelta(days=11, minutes=10), self.context.clock() + timedelta(days=30))
        issued = super().issue_token(session, replace(request, expires_at=longer))
        return replace(issued, expires_at=request.expires_at.replace(microsecond=0))


@liar("P27")
class LeavesAThread(Honest):
    def __init__(self, settings, context):
        super().__init__(settings, context)
        threading.Thread(target=threading.Event().wait, args=(8,), name="left-behind", daemon=True).start()


@liar("P27")
class LeavesASocket(Honest):
    sockets = []  # noqa: RUF012  # so that none is closed by the collector

    def check(self):
        self.sockets.append(socket.socket())


@liar("P28")
class ImprovesJson(Honest):
    def parse_webhook(self, request):
        json.loads = ImprovedLoads()
        return super().parse_webhook(request)

    def close(self):
        json.loads = ImprovedLoads.original
        super().close()


class ImprovedLoads:
    original = staticmethod(json.loads)

    def __call__(self, *args, **how):
        return self.original(*args, **how)


@liar("P18")
class NamesTheName(Honest):
    """Lets a name that a caller chooses stand for the attendee."""

    def issue_token(self, session, request):
        return super().issue_token(session, replace(request, attendee=request.name or request.attendee))


@liar("P18")
class LosesTheAttendee(Honest):
    def issue_token(self, session, request):
        return super().issue_token(session, replace(request, attendee="", data=request.attendee))

    def list_connections(self, session):
        roster = super().list_connections(session)
        return replace(roster, connections=[replace(one, attendee=None) for one in roster.connections])


# --- capabilities ---------------------------------------------------------------------------------------------------


@liar("P30")
class ListsNoArchives(Honest):
    def list_archives(self, session):
        return []


@liar("P30")
class TakesSecondsForMilliseconds(Honest):
    def get_archive(self, archive_id):
        found = super().get_archive(archive_id)
        return replace(found, created_at=datetime.fromtimestamp(found.created_at.timestamp() / 1000, UTC))


@liar("P31")
class RecordsNobody(Honest):
    def start_archive(self, session, request):
        try:
            return super().start_archive(session, request)
        except ProviderConflict as error:
            if error.provider_code != "no_connections":
                raise
            return ArchiveState("fa_nobody", session.session_id, "started", ArchiveStatus.STARTED)


@liar("P32")
class RecordsTwice(Honest):
    def start_archive(self, session, request):
        try:
            return super().start_archive(session, request)
        except ProviderConflict as error:
            if error.provider_code != "already_recording":
                raise
            return self.list_archives(session)[0]


@liar("P33")
class MistakesTheMissing(Honest):
    def get_archive(self, archive_id):
        try:
            return super().get_archive(archive_id)
        except ProviderResourceNotFound:
            raise ProviderRejected("no such thing") from None


@liar("P34")
class DeletesWhatRuns(Honest):
    def delete_archive(self, archive_id):
        try:
            super().stop_archive(None, archive_id)
        except ProviderResourceNotFound:
            return
        super().delete_archive(archive_id)


@liar("P35")
class LosesTheEnd(Honest):
    def open_archive(self, archive_id):
        with super().open_archive(archive_id) as stream:
            return BytesIO(stream.read() + b"and more")


@liar("P36")
class ReadsWhatIsNotReady(Honest):
    def _check_readable(self, archive_id):
        return self.recorder.get(archive_id)


@liar("P37")
class NeverFinishes(Honest):
    def get_archive(self, archive_id):
        found = super().get_archive(archive_id)
        return replace(found, status=ArchiveStatus.STOPPED) if found.status is ArchiveStatus.AVAILABLE else found


@liar("P38")
class ListsEveryArchive(Honest):
    def __init__(self, settings, context):
        super().__init__(settings, context)
        self.sessions = {}

    def start_archive(self, session, request):
        self.sessions[session.session_id] = session
        return super().start_archive(session, request)

    def list_archives(self, session):
        sessions = (self.sessions | {session.session_id: session}).values()
        return [one for each in sessions for one in super(ListsEveryArchive, self).list_archives(each)]


@liar("P38")
class StopsEveryArchive(Honest):
    """Stops what its account records, whichever session is asked for."""

    started = ()

    def start_archive(self, session, request):
        state = super().start_archive(session, request)
        self.started = (*self.started, state.archive_id)
        return state

    def stop_archive(self, session, archive_id):
        for one in self.started:
            super().stop_archive(session, one)
        return super().stop_archive(session, archive_id)


@liar("P40")
class SetsStorageOnce(Honest):
    done = False

    def apply_storage(self, kind, configuration):
        super().apply_storage(kind, configuration)
        if self.done:
            raise ProviderConflict("set already")
        self.done = True


@liar("P41")
class TakesAnyStorage(Honest):
    def apply_storage(self, kind, configuration):
        pass


@liar("P50")
class EndsNothing(Honest):
    def end_session(self, session, connections):
        pass


@liar("P50")
class NamesAnotherAttendee(Honest):
    def list_connections(self, session):
        roster = super().list_connections(session)
        return replace(roster, connections=[replace(one, attendee=one.connection_id) for one in roster.connections])


@liar("P51")
class SeesGhosts(Honest):
    def __init__(self, settings, context):
        super().__init__(settings, context)
        self.seen = set()

    def list_connections(self, session):
        roster = super().list_connections(session)
        if roster.connections:
            self.seen.add(session.session_id)
        return roster if session.session_id in self.seen else Roster([RosterConnection("ghost")], complete=True)


@liar("P52")
class RemovesEverybody(Honest):
    def disconnect(self, session, connection_id):
        for one in self.list_connections(session).connections:
            super().disconnect(session, one.connection_id)


@liar("P53")
class MutesEverybody(Honest):
    def mute(self, session, connection_id, streams):
        super().mute(session, None, streams)


@liar("P54")
class CannotMuteAll(Honest):
    def mute(self, session, connection_id, streams):
        if connection_id is not None:
            super().mute(session, connection_id, streams)


class OneOfMany(Honest):
    """Knows its sessions, so that its liars can do to all of them what was asked of one."""

    def __init__(self, settings, context):
        super().__init__(settings, context)
        self.sessions = {}

    def ensure_session(self, request):
        session = super().ensure_session(request)
        self.sessions[session.session_id] = session
        return session


@liar("P55")
class EndsEverySession(OneOfMany):
    def end_session(self, session, connections):
        for one in self.sessions.values():
            super().end_session(one, connections)


@liar("P55")
class ListsEverybody(OneOfMany):
    def list_connections(self, session):
        rosters = [super(ListsEverybody, self).list_connections(one) for one in self.sessions.values()]
        return Roster([one for roster in rosters for one in roster.connections], complete=True)


@liar("P55")
class MutesEverySession(OneOfMany):
    def mute(self, session, connection_id, streams):
        for one in self.sessions.values() if connection_id is None else (session,):
            super().mute(one, connection_id, streams)


@liar("P56")
class SuspectsEveryone(Honest):
    def hides_attendee(self, connection_id):
        return True


# --- browser clients -------------------------------------------------------------------------------------------------


@liar("P60")
class WeakensThePolicy(Honest):
    @property
    def browser_client(self):
        return replace(super().browser_client, scripts=("'unsafe-inline'",))


@liar("P61")
class ExportsNothing(Honest):
    @property
    def browser_client(self):
        return replace(super().browser_client, module=Path(__file__).parents[1] / "browser/no_client.js")
