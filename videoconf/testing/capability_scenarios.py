"""The scenarios of what not every provider can do. What it does not declare is skipped, naming the capability."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from videoconf.errors import ProviderConflict, ProviderRejected, ProviderResourceNotFound
from videoconf.providers import (
    ArchiveRequest,
    ArchiveState,
    ArchiveStatus,
    Capability,
    Provider,
    SessionRef,
)
from videoconf.testing.driven import Driven
from videoconf.testing.harness import unwritten, wrong
from videoconf.testing.operations import MEETING, issue, session_request

RUNNING = (ArchiveStatus.STARTED, ArchiveStatus.PAUSED)
READY = (ArchiveStatus.AVAILABLE, ArchiveStatus.UPLOADED)
BLOCK_BYTES = 1 << 16
OTHER_MEETING = f"{MEETING}-other"
CLOCK_DIFFERENCE = timedelta(hours=1)
"""How far a vendor's clock may be from ours in a test."""


def needs(provider: Provider, capability: Capability) -> Any:
    """Return the provider as one that has a capability, or skip.

    It is tried where it is declared and implemented; where only one of the two holds, P-03 says so.
    """
    if capability not in provider.capabilities:
        pytest.skip(f"the provider does not declare the capability `{capability}`")
    return provider


class CapabilityScenarios(Driven):
    """Archives, storage, rosters, moderation."""

    # --- archives ---------------------------------------------------------------------------------------------------

    def test_P30_archive_lives(self, provider: Provider) -> None:
        """An archive is started, found, stopped, stopped again and deleted; deleted again too, and then gone."""
        archives = needs(provider, Capability.ARCHIVING)
        session = self._occupied(provider)
        started: ArchiveState = archives.start_archive(session, ArchiveRequest(name="kit"))
        if started.status is not ArchiveStatus.STARTED or started.session_id != session.session_id:
            wrong(f"start_archive() gives {started}: status `started`, of the session that was asked for")
        if archives.get_archive(started.archive_id).archive_id != started.archive_id:
            wrong("get_archive() gives another archive than the one that was asked for")
        if started.archive_id not in _ids(listed := archives.list_archives(session)):
            wrong("list_archives() does not name an archive that was started")
        for one in (started, archives.get_archive(started.archive_id), *listed):
            _demand_about_now(provider, "ArchiveState.created_at", one.created_at)
            if one.name not in (None, "kit"):
                wrong(f"an archive that was started with the name 'kit' has the name {one.name!r}")
        for attempt in ("stop_archive()", "stop_archive() of an archive that has stopped"):
            stopped = archives.stop_archive(session, started.archive_id)
            if stopped.status in (*RUNNING, None):
                wrong(f"{attempt} leaves the archive {stopped.provider_status}")
        try:
            archives.delete_archive(started.archive_id)
        except ProviderConflict:  # a vendor may have to finish it first
            self.finish_archive(provider, started.archive_id)
            archives.delete_archive(started.archive_id)
        archives.delete_archive(started.archive_id)
        if provider.capabilities.deletes_archives and started.archive_id in _ids(archives.list_archives(session)):
            wrong("list_archives() names an archive that was deleted")

    def test_P31_nobody_to_record(self, provider: Provider) -> None:
        """Recording a session without a connection is a conflict."""
        archives = needs(provider, Capability.ARCHIVING)
        session = provider.ensure_session(session_request("kit-empty"))
        with _raises(ProviderConflict, "start_archive() without a connection"):
            archives.start_archive(session, ArchiveRequest())

    def test_P32_recorded_already(self, provider: Provider) -> None:
        """Recording a session that is being recorded is a conflict."""
        archives = needs(provider, Capability.ARCHIVING)
        session = self._occupied(provider)
        archives.start_archive(session, ArchiveRequest())
        with _raises(ProviderConflict, "start_archive() of a session that is being recorded"):
            archives.start_archive(session, ArchiveRequest())

    def test_P33_unknown_archive(self, provider: Provider) -> None:
        """An archive that the vendor does not know is not found; deleting it is success."""
        archives = needs(provider, Capability.ARCHIVING)
        archives.delete_archive(self.unknown_archive)
        with _raises(ProviderResourceNotFound, "get_archive() of an unknown id"):
            archives.get_archive(self.unknown_archive)

    def test_P34_running_archive_stays(self, provider: Provider) -> None:
        """An archive that is being recorded is not deleted."""
        archives = needs(provider, Capability.ARCHIVING)
        session = self._occupied(provider)
        started = archives.start_archive(session, ArchiveRequest())
        with _raises(ProviderConflict, "delete_archive() while it is being recorded"):
            archives.delete_archive(started.archive_id)

    def test_P35_archive_is_read(self, provider: Provider) -> None:
        """A finished archive is read as a stream, block by block, and by a URL that expires."""
        archives = needs(provider, Capability.ARCHIVE_DOWNLOADS)
        archive_id = self._stopped_archive(provider)
        self.finish_archive(provider, archive_id)
        size = 0
        with archives.open_archive(archive_id) as stream:
            while block := stream.read(BLOCK_BYTES):
                size += len(block)
                if len(block) > BLOCK_BYTES:
                    wrong("open_archive() gives more than was asked for: it holds the archive in memory")
        stated = archives.get_archive(archive_id).size_bytes
        if stated is not None and size != stated:
            wrong(f"open_archive() gives {size} bytes of an archive of {stated}")
        signed = archives.archive_url(archive_id)
        now = provider.context.clock()
        if not (signed.url and now < signed.expires_at <= now + timedelta(days=7)):
            wrong("archive_url() gives a URL that works for a while, within a week")

    def test_P36_unfinished_archive_is_not_read(self, provider: Provider) -> None:
        """An archive that is not ready is a conflict to read, an unknown one is not found."""
        archives = needs(provider, Capability.ARCHIVE_DOWNLOADS)
        archive_id = self._stopped_archive(provider)
        for method in (archives.open_archive, archives.archive_url):
            with _raises(ProviderConflict, f"{method.__name__}() of an archive that is not ready"):
                method(archive_id)
            with _raises(ProviderResourceNotFound, f"{method.__name__}() of an unknown id"):
                method(self.unknown_archive)

    def test_P37_finished_archive_is_available(self, provider: Provider) -> None:
        """An archive that the vendor has finished is available, or uploaded: to whoever reads it, and in the list."""
        archives = needs(provider, Capability.ARCHIVING)
        session = self._occupied(provider)
        archive_id = archives.start_archive(session, ArchiveRequest()).archive_id
        archives.stop_archive(session, archive_id)
        self.finish_archive(provider, archive_id)
        read = [archives.get_archive(archive_id)]
        listed = [one for one in archives.list_archives(session) if one.archive_id == archive_id]
        for one in (*read, *listed):
            if one.status not in READY:
                wrong(
                    f"an archive that is finished is {one.provider_status!r}, read as {one.status}, and not available"
                )

    def test_P38_archives_of_one_session(self, provider: Provider) -> None:
        """Two sessions are recorded at once; each lists its own archive, and stopping one leaves the other."""
        archives = needs(provider, Capability.ARCHIVING)
        sessions = self._two_sessions(provider)
        for session, attendee in zip(sessions, ("kit-ann", "kit-bob"), strict=True):
            self.join(provider, session, issue(provider, session, attendee))
        started = [archives.start_archive(session, ArchiveRequest()).archive_id for session in sessions]
        for session, archive_id in zip(sessions, started, strict=True):
            listed = archives.list_archives(session)
            if set(_ids(listed)) - {archive_id}:
                wrong("list_archives() lists an archive of another session")
            for one in (*listed, archives.get_archive(archive_id)):
                if one.session_id != session.session_id:
                    wrong("an archive is read with another session than the one that was recorded")
        archives.stop_archive(sessions[0], started[0])
        if archives.get_archive(started[1]).status not in RUNNING:
            wrong("stop_archive() stops the archive of another session")
        archives.stop_archive(sessions[1], started[1])

    # --- storage ----------------------------------------------------------------------------------------------------

    def test_P40_storage_is_set(self, provider: Provider) -> None:
        """Where archives go can be set and set again, cleared and cleared again."""
        stores = needs(provider, Capability.STORES_ARCHIVES)
        if self.storage is None:
            unwritten("the attribute `storage`: a StorageDestination of a kind that the provider takes")
        for _ in range(2):
            stores.apply_storage(self.storage.kind, dict(self.storage.configuration))
        for _ in range(2):
            stores.clear_storage()

    def test_P41_unknown_storage(self, provider: Provider) -> None:
        """A kind of storage that it does not declare is rejected."""
        stores = needs(provider, Capability.STORES_ARCHIVES)
        with _raises(ProviderRejected, "apply_storage() with a kind that is not declared"):
            stores.apply_storage("kitkind", {})

    # --- people -----------------------------------------------------------------------------------------------------

    def test_P50_roster(self, provider: Provider) -> None:
        """A connection is in the roster under its id; after the end the roster is empty."""
        roster = needs(provider, Capability.ROSTER)
        session = provider.ensure_session(session_request())
        connection = self.join(provider, session, issue(provider, session))
        listed = {one.connection_id: one for one in roster.list_connections(session).connections}
        if connection not in listed:
            wrong("a connection is missing from list_connections()")
        if listed[connection].attendee not in (None, "kit-ann"):
            wrong(f"list_connections() names the attendee {listed[connection].attendee!r} for one of 'kit-ann'")
        _demand_about_now(provider, "RosterConnection.connected_at", listed[connection].connected_at)
        provider.end_session(session, [connection])
        if roster.list_connections(session).connections:
            wrong("list_connections() lists a connection after end_session()")

    def test_P51_roster_of_nobody(self, provider: Provider) -> None:
        """The roster of a session that never ran is empty."""
        roster = needs(provider, Capability.ROSTER)
        found = roster.list_connections(provider.ensure_session(session_request("kit-never-ran")))
        if list(found.connections):
            wrong("the roster of a session that never ran lists a connection")

    def test_P52_disconnect(self, provider: Provider) -> None:
        """One connection is removed and no other; again too, and so is one that never was."""
        moderation = needs(provider, Capability.MODERATION)
        session = provider.ensure_session(session_request())
        ann = self.join(provider, session, issue(provider, session))
        bob = self.join(provider, session, issue(provider, session, "kit-bob"))
        moderation.disconnect(session, ann)
        moderation.disconnect(session, ann)
        moderation.disconnect(session, self.unknown_connection)
        if Capability.ROSTER in provider.capabilities:
            left = [one.connection_id for one in moderation.list_connections(session).connections]
            if left != [bob]:
                wrong(f"after one of two was disconnected, {len(left)} are connected")

    def test_P53_mute_one(self, provider: Provider) -> None:
        """What one connection sends is muted, and nothing else; again too, and where nothing is sent."""
        moderation = needs(provider, Capability.MODERATION)
        session, (ann, bob), streams = self._sending(provider)
        cid = self.join(provider, session, issue(provider, session, "kit-cid"))
        moderation.mute(session, cid, streams)
        moderation.mute(session, self.unknown_connection, streams)
        for muted in ((), (ann,), (ann,)):
            if muted:
                moderation.mute(session, ann, streams)
            for one, name in ((ann, "the first"), (bob, "the second")):
                if self.is_muted(provider, session, one) is not (one in muted):
                    wrong(f"of two who send, {len(muted)} were to be muted, and {name} is {_not(one in muted)}muted")

    def test_P54_mute_all(self, provider: Provider) -> None:
        """Every sender is muted; again too, and in an empty room."""
        moderation = needs(provider, Capability.MODERATION)
        moderation.mute(provider.ensure_session(session_request("kit-empty")), None, {})
        session, people, streams = self._sending(provider)
        for _ in range(2):
            moderation.mute(session, None, streams)
            if not all(self.is_muted(provider, session, one) for one in people):
                wrong("not every sender is muted")

    def test_P55_people_of_one_session(self, provider: Provider) -> None:
        """What is asked about one session lists, mutes and ends no connection of another."""
        roster = needs(provider, Capability.ROSTER)
        ours, theirs = self._two_sessions(provider)
        ann = self.join(provider, ours, issue(provider, ours))
        bob = self.join(provider, theirs, issue(provider, theirs, "kit-bob"))
        for session, connection in ((ours, ann), (theirs, bob)):
            if _connected(roster, session) != [connection]:
                wrong("list_connections() of a session of one connection lists another, perhaps of another session")
        if Capability.MODERATION in provider.capabilities:
            self.publish(provider, theirs, bob)
            roster.mute(ours, None, {})
            if self.is_muted(provider, theirs, bob):
                wrong("mute() of one session mutes a connection of another")
        provider.end_session(ours, [ann])
        if _connected(roster, theirs) != [bob]:
            wrong("end_session() of one session ends a connection of another")

    def test_P56_honest_client_hides_no_attendee(self, provider: Provider) -> None:
        """A client that uses its credential as issued, an anonymous one too, is not taken for one that hides itself."""
        moderation = needs(provider, Capability.MODERATION)
        session = provider.ensure_session(session_request())
        for attendee in ("kit-ann", None):
            if moderation.hides_attendee(self.join(provider, session, issue(provider, session, attendee))):
                wrong("hides_attendee() is true for a client that hides nothing: any ban would disconnect it")

    # ----------------------------------------------------------------------------------------------------------------

    def _sending(self, provider: Provider) -> tuple[SessionRef, list[str], dict[str, list[str]]]:
        """Let two people join and publish; give their connections, and their streams as events would tell of them."""
        session = provider.ensure_session(session_request())
        people = [self.join(provider, session, issue(provider, session, who)) for who in ("kit-ann", "kit-bob")]
        return session, people, {one: [self.publish(provider, session, one)] for one in people}

    def _two_sessions(self, provider: Provider) -> tuple[SessionRef, SessionRef]:
        one, other = (provider.ensure_session(session_request(meeting)) for meeting in (MEETING, OTHER_MEETING))
        if one.session_id == other.session_id:
            pytest.skip("two meetings got one session, which P-05 reports")
        return one, other

    def _occupied(self, provider: Provider) -> SessionRef:
        session = provider.ensure_session(session_request())
        self.join(provider, session, issue(provider, session))
        return session

    def _stopped_archive(self, provider: Provider) -> str:
        archives: Any = provider
        session = self._occupied(provider)
        started: ArchiveState = archives.start_archive(session, ArchiveRequest())
        archives.stop_archive(session, started.archive_id)
        return started.archive_id


def _not(really: bool) -> str:
    return "not " if really else ""


def _demand_about_now(provider: Provider, name: str, at: datetime | None) -> None:
    """Demand of a time that the vendor states of what has just happened that it is about now, with a time zone."""
    if at is not None and (at.tzinfo is None or abs(at - provider.context.clock()) > CLOCK_DIFFERENCE):
        wrong(f"{name} of what has just happened is {at}: seconds for milliseconds, or no time zone?")


def _connected(roster: Any, session: SessionRef) -> list[str]:
    return [one.connection_id for one in roster.list_connections(session).connections]


def _ids(archives: Sequence[ArchiveState]) -> list[str]:
    return [archive.archive_id for archive in archives]


class _raises:
    """Expect an error of the taxonomy, and say in words what was tried."""

    def __init__(self, expected: type[Exception], tried: str) -> None:
        self._expected, self._tried = expected, tried

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if error is None:
            wrong(f"{self._tried} succeeds; {self._expected.__name__} is expected")
        if not isinstance(error, self._expected):
            wrong(f"{self._tried} raises {type(error).__name__}: {error}; {self._expected.__name__} is expected")
        return True
