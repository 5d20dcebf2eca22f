import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from videoconf.errors import ProviderConflict, ProviderRejected, ProviderResourceNotFound
from videoconf.providers import ArchiveRequest, ArchiveStatus, EventKind, SessionRequest
from videoconf_fake.control import FakeControl
from videoconf_fake.recorder import NEXT, RUNNING

CREDENTIAL = "very-private-key"


@pytest.fixture
def archive(provider, session, connection):
    return provider.start_archive(session, ArchiveRequest(name="First", layout="pip"))


def test_start_needs_a_connection_and_no_running_archive(provider, control, session, token_for):
    with pytest.raises(ProviderConflict) as refused:
        provider.start_archive(session, ArchiveRequest())
    assert refused.value.provider_code == "no_connections"
    control.join(token_for(provider, session))
    provider.start_archive(session, ArchiveRequest())
    with pytest.raises(ProviderConflict) as refused:
        provider.start_archive(session, ArchiveRequest())
    assert refused.value.provider_code == "already_recording"


def test_an_encrypted_session_is_not_recorded(provider, control, token_for):
    session = provider.ensure_session(SessionRequest("e2ee", end_to_end_encryption=True))
    control.join(token_for(provider, session))
    with pytest.raises(ProviderConflict) as refused:
        provider.start_archive(session, ArchiveRequest())
    assert refused.value.provider_code == "end_to_end_encrypted"


def test_webhook_of_each_state_matches_the_read_archive(provider, control, session, archive, clock, told):
    told()
    for status in ("paused", "started", "stopped", "available", "expired"):
        clock.step(seconds=10)
        control.change_archive(archive.archive_id, ArchiveStatus(status), "why")
        (event,) = told()
        assert event.kind is EventKind.ARCHIVE
        assert event.session_id == session.session_id
        assert event.archive == provider.get_archive(archive.archive_id)
        assert (event.archive.provider_status, event.archive.reason) == (status, "why")
        assert event.archive.updated_at == event.at == clock()
    assert (event.archive.name, event.archive.metadata) == ("First", {"layout": "pip"})
    assert (event.archive.duration_seconds, event.archive.size_bytes) == (30, 3_750_000)


def test_a_clock_that_is_set_back_makes_no_negative_duration(control, archive, clock, told):
    clock.step(seconds=-60)
    control.change_archive(archive.archive_id, ArchiveStatus.STOPPED)
    assert told()[-1].archive.duration_seconds == 0


def test_stopping_twice_succeeds_and_is_reported_once(provider, session, archive, told):
    told()
    stopped = provider.stop_archive(session, archive.archive_id)
    assert provider.stop_archive(session, archive.archive_id) == stopped
    assert [event.archive.status for event in told()] == [ArchiveStatus.STOPPED]


def test_deletion_needs_a_stopped_archive_and_may_be_repeated(provider, session, archive, told):
    with pytest.raises(ProviderConflict):
        provider.delete_archive(archive.archive_id)
    provider.stop_archive(session, archive.archive_id)
    told()
    provider.delete_archive(archive.archive_id)
    provider.delete_archive(archive.archive_id)
    provider.delete_archive("fa_unknown")
    assert [event.archive.status for event in told()] == [ArchiveStatus.DELETED]
    assert provider.list_archives(session) == []
    for act in (provider.get_archive, lambda archive_id: provider.stop_archive(session, archive_id)):
        with pytest.raises(ProviderResourceNotFound):
            act(archive.archive_id)


def test_the_newest_archive_is_listed_first(provider, session, archive):
    provider.stop_archive(session, archive.archive_id)
    second = provider.start_archive(session, ArchiveRequest())
    assert [one.archive_id for one in provider.list_archives(session)] == [second.archive_id, archive.archive_id]


def test_an_upload_needs_a_storage(provider, control, session, archive):
    provider.stop_archive(session, archive.archive_id)
    with pytest.raises(ProviderConflict) as refused:
        control.change_archive(archive.archive_id, ArchiveStatus.UPLOADED)
    assert refused.value.provider_code == "no_storage"
    provider.apply_storage("s3", {"bucket": "b", "secret_key": CREDENTIAL})
    assert control.change_archive(archive.archive_id, ArchiveStatus.UPLOADED).status is ArchiveStatus.UPLOADED


def test_a_storage_is_replaced_refused_and_cleared(provider):
    provider.apply_storage("s3", {"bucket": "b", "secret_key": CREDENTIAL})
    with pytest.raises(ProviderRejected):
        provider.apply_storage("floppy", {})
    assert provider.recorder.find_storage("any").kind == "s3"
    provider.apply_storage("azure", {"container": "c"})
    assert provider.recorder.find_storage("any").kind == "azure"
    provider.clear_storage()
    provider.clear_storage()
    assert provider.recorder.find_storage("any") is None


def test_credentials_are_never_shown(provider, control, session, archive):
    provider.apply_storage("s3", {"bucket": "b", "secret_key": CREDENTIAL})
    control.change_archive(archive.archive_id, ArchiveStatus.STOPPED)
    control.change_archive(archive.archive_id, ArchiveStatus.UPLOADED)
    shown = [repr(vars(provider)), repr(vars(provider.state)), repr(control.list_events())]
    assert all(CREDENTIAL not in text for text in shown)


def test_first_join_starts_the_archive_of_a_recorded_session(provider, control, told, token_for):
    session = provider.ensure_session(SessionRequest("recorded", archiving=True))
    first = control.join(token_for(provider, session))
    second = control.join(token_for(provider, session))
    assert [event.kind for event in told()] == [EventKind.JOINED, EventKind.ARCHIVE, EventKind.JOINED]
    assert len(provider.list_archives(session)) == 1
    control.leave(first)
    control.leave(second)
    control.join(token_for(provider, session))
    assert len(provider.list_archives(session)) == 1, "what still runs goes on"
    control.close_session(session.session_id)
    control.join(token_for(provider, session))
    newest, oldest = provider.list_archives(session)
    assert (newest.provider_status, oldest.provider_status) == ("started", "stopped")
    provider.stop_archive(session, newest.archive_id)
    control.join(token_for(provider, session))
    assert len(provider.list_archives(session)) == 2, "what was stopped on demand stays so while people are there"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(wishes=st.lists(st.sampled_from(ArchiveStatus), max_size=12))
def test_only_next_states_are_reached_and_each_is_reported(wishes, fresh_archive):
    control, archive = fresh_archive()
    before = len(control.list_events())
    status, changes = ArchiveStatus.STARTED, 0
    for wish in wishes:
        try:
            control.change_archive(archive.archive_id, wish)
        except (ProviderConflict, ProviderResourceNotFound):
            assert wish not in NEXT[status]
        else:
            assert wish in NEXT[status]
            status, changes = wish, changes + 1
    assert len(control.list_events()) == before + changes


@pytest.fixture
def fresh_archive(make_provider, token_for):
    provider, numbers = make_provider(), itertools.count()
    provider.apply_storage("memory", {})
    control = FakeControl(provider)

    def make():
        session = provider.ensure_session(SessionRequest(f"m{next(numbers)}"))
        control.join(token_for(provider, session))
        return control, provider.start_archive(session, ArchiveRequest())

    return make


def test_running_archive_can_stop_and_deleted_one_stays_deleted():
    assert all(ArchiveStatus.STOPPED in NEXT[status] for status in RUNNING)
    assert not NEXT[ArchiveStatus.DELETED]
    assert all(ArchiveStatus.DELETED not in NEXT[status] for status in RUNNING)
