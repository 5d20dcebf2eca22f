"""The storage target that an archive is in: the one of its tenant, its time and its provider."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text, update

from tests.integration.archives.steps import receipt
from tests.integration.storage_delivery.world import MEMORY, PATH, World, uploaded
from tests.support.service import ON_SQLITE, plugins_with
from videoconf.api.services import services
from videoconf.archives.merge import merge_evidence
from videoconf.archives.models import Archive
from videoconf.db.functions import utc_in
from videoconf.db.transactions import read, write
from videoconf.errors import StorageTimeout
from videoconf.meetings.models import Meeting
from videoconf.providers import ArchiveState, ArchiveStatus, SessionCreation
from videoconf.storage import storage_seconds_left
from videoconf.storage_targets.models import StorageTargetRow
from videoconf_fake.memory import AREAS, MemoryTarget
from videoconf_fake.provider import PushingFakeProvider


@pytest.mark.needs("stores_archives", "automatic_archiving")
def test_overtaken_request_does_not_decide_where_archives_go(make_world):
    world = make_world("archive")
    provider, overtaking = world.service.provider, [True]

    def create():
        return world.api("POST", "/session", {"enableArchiving": True}, Idempotency_Key="k")

    def ensure_slowly(request):
        if overtaking and overtaking.pop():
            with world.app.app_context(), write() as session:
                session.execute(text("UPDATE idempotency_key SET lease_until = created_on"))
            world.set_target("later")
            assert create().status == 200
        return provider.real.ensure_session(request)

    world.set_target()
    provider.script("ensure_session", ensure_slowly, always=True)
    assert create().status == 409
    with world.app.app_context(), read() as session:
        [row_id] = session.execute(select(Meeting.storage_target_id)).scalars()
        assert services(world.app).targets.find_in_force(session, "default").id == row_id


@pytest.mark.needs("stores_archives")
def test_each_tenants_archives_go_to_its_own_target(make_world):
    world = make_world()
    callers = {tenant: world.service.caller_with(tenant=tenant) for tenant in ("ours", "theirs")}
    for tenant, caller in callers.items():
        world.set_target(tenant, caller)
    archives = {
        tenant: [world.record(api=caller), world.record(api=caller, automatic=True)]
        for tenant, caller in callers.items()
    }
    for ids in archives.values():
        for archive_id in ids:
            world.become(archive_id, ArchiveStatus.UPLOADED)
    for tenant, ids in archives.items():
        assert world.storage.keys(tenant) == {world.row(archive_id).object_key for archive_id in ids}
        for archive_id in ids:
            assert world.url(archive_id, callers[tenant]).startswith(world.storage.url(tenant))
    other = callers["theirs"]("GET", f"/archives/{archives['ours'][0]}/download")
    assert other.problem == (404, "archive_not_found")


@pytest.mark.parametrize("scope", ["none", "archive"])
@pytest.mark.parametrize("whose", ["theirs", "default"])
@pytest.mark.needs("archiving")
def test_foreign_object_key_is_not_looked_up_in_other_targets(make_world, scope, whose):
    world, asked = make_world(scope), []

    class Asked(MemoryTarget):
        def delete(self, key):
            asked.append(key)

    assert world.service.caller_with(tenant=whose)("PUT", PATH, {**MEMORY, "area": "theirs"}).status == 200
    services(world.app).targets.kinds["memory"] = Asked
    api = uploaded(world, "ours")
    assert api("GET", "/archives/a-1").json["status"] == "uploaded"
    assert api("GET", "/archives/a-1/download").problem == (409, "archive_not_downloadable")
    assert api("DELETE", "/archives/a-1").status == 200
    (deleted,) = [entry for entry in api("GET", "/audit").json if entry["action"] == "archive.deleted"]
    assert (asked, deleted["after"]) == ([], receipt(world.service, "unreachable"))


@ON_SQLITE
@pytest.mark.needs("archiving")
def test_unset_provider_storage_asks_no_target(make_world):
    world = make_world("none")
    assert world.service.caller_with(tenant="ours")("PUT", PATH, MEMORY).status == 200
    api = uploaded(world, "ours")
    assert api("GET", "/archives/a-1/download").problem == (409, "archive_not_downloadable")
    world.api("PUT", PATH, MEMORY)
    assert world.row("a-1").object_key is None


@pytest.mark.needs("stores_archives", "the fake")
def test_account_wide_target_has_the_archives_of_every_tenant(make_world):
    world = make_world("account")
    assert world.api("PUT", PATH, MEMORY).status == 200
    api = uploaded(world, "ours")
    assert world.url("a-1", api).startswith("memory://bucket/account/a-1/archive.mp4")


def said_of(world: World, *keys: str | None, **members) -> Archive:
    """Let the provider say of an archive, one after the other, that it has put it under these keys."""
    link = world.api.create()
    world.api.create()  # another meeting, which must not be asked for its target
    with world.app.app_context(), write() as session:
        meeting_id = session.execute(select(Meeting.id).where(Meeting.meeting_link == link)).scalar_one()
        state = ArchiveState("a-1", "s", "uploaded", ArchiveStatus.UPLOADED)
        for key in keys:
            merge_evidence(session, meeting_id, replace(state, object_key=key, **members))
    return world.row("a-1")


def set_two(world: World) -> list[int]:
    """Set a target an hour ago, and another now; return the ids of their rows."""
    for area in ("old", "new"):
        world.set_target(area)
    with world.app.app_context(), write() as session:
        ids = list(session.execute(select(StorageTargetRow.id).order_by(StorageTargetRow.id)).scalars())
        session.execute(update(StorageTargetRow).where(StorageTargetRow.id == ids[0]).values(created_on=utc_in(-3600)))
    return ids


@ON_SQLITE
@pytest.mark.parametrize("minutes_ago", [30, None])
@pytest.mark.needs("stores_archives")
def test_upload_is_in_the_newest_target_of_its_time(make_world, minutes_ago):
    world = make_world()
    old, new = set_two(world)
    then = None if minutes_ago is None else datetime.now(UTC) - timedelta(minutes=minutes_ago)
    row = said_of(world, "account/a-1/archive.mp4", updated_at=then)
    assert row.storage_target_id == (new if then is None else old)


@ON_SQLITE
@pytest.mark.needs("stores_archives")
def test_upload_is_not_in_a_target_of_another_provider(make_world):
    world = make_world()
    set_two(world)
    with world.app.app_context(), write() as session:
        session.execute(update(StorageTargetRow).values(used_by={"another:account": "account"}))
    row = said_of(world, "account/a-1/archive.mp4")
    assert (row.status, row.storage_target_id, row.object_key) == ("uploaded", None, None)


@ON_SQLITE
@pytest.mark.needs("stores_archives")
def test_first_report_decides_where_an_archive_is(make_world):
    world = make_world()
    _, new = set_two(world)
    row = said_of(world, "a/1.mp4", "a/2.mp4", status=ArchiveStatus.AVAILABLE)
    assert (row.storage_target_id, row.object_key) == (new, "a/1.mp4")


@ON_SQLITE
@pytest.mark.needs("stores_archives")
def test_upload_to_an_unknown_place_is_not_in_a_later_target(make_world):
    world = make_world()
    set_two(world)
    row = said_of(world, None, "a/1.mp4")
    assert (row.storage_target_id, row.object_key) == (None, None)


@ON_SQLITE
@pytest.mark.parametrize("scope", ["archive", "account"])
@pytest.mark.needs("stores_archives")
def test_former_target_still_serves_its_archives(make_world, scope):
    world = make_world(scope)
    world.set_target("old")
    archive_id = world.record()
    world.become(archive_id, ArchiveStatus.UPLOADED)
    world.set_target("new")
    world.api("DELETE", PATH)
    assert world.url(archive_id).startswith(world.storage.url("old"))
    assert len(world.storage.keys("old")) == 1
    assert world.api("DELETE", f"/archives/{archive_id}").status == 200
    assert world.storage.keys("old") == set()


@ON_SQLITE
@pytest.mark.needs("stores_archives")
def test_target_sent_with_the_session_has_its_archives(make_world):
    world = make_world()
    world.set_target("old")
    archive_id = world.record(automatic=True)
    world.set_target("new")
    world.become(archive_id, ArchiveStatus.UPLOADED)
    assert world.storage.keys("old") == {world.row(archive_id).object_key}
    assert world.url(archive_id).startswith(world.storage.url("old"))


class JustInTime(PushingFakeProvider):
    """Makes a room when the first person comes."""

    @property
    def capabilities(self):
        return replace(super().capabilities, session_creation=SessionCreation.JUST_IN_TIME)


@ON_SQLITE
@pytest.mark.needs("the fake", long=True)
def test_just_in_time_session_is_asked_for_with_its_target(make_world):
    """A meeting that is not archived needs no target, and one of another tenant gets that tenant's."""
    world = make_world("archive", plugins=plugins_with(JustInTime))
    services(world.app).targets.kinds["memory"] = MemoryTarget
    provider, asked = world.service.provider, {}

    def ensure(request):
        asked[request.meeting_id] = request
        return provider.real.ensure_session(request)

    provider.script("ensure_session", ensure, always=True)
    theirs = world.service.caller_with(tenant="theirs")
    world.set_target("ours")
    world.set_target("theirs", theirs)
    made = [(world.api, True, "ours"), (world.api, False, None), (theirs, True, "theirs")]
    links = [api.create(enableArchiving=archived) for api, archived, _ in made]
    assert asked == {}
    for link, (api, _, _) in zip(links, made, strict=True):
        api.token(link)
    assert [asked[link].archiving for link in links] == [archived for _, archived, _ in made]
    sent = [asked[link].storage for link in links]
    assert [None if one is None else one.configuration["area"] for one in sent] == [area for _, _, area in made]
    with world.app.app_context(), read() as session:
        kept = dict(session.execute(select(Meeting.meeting_link, Meeting.storage_target_id)).all())
        in_force = services(world.app).targets.find_in_force
        wanted = [in_force(session, "default").id, None, in_force(session, "theirs").id]
    assert [kept[link] for link in links] == wanted


@ON_SQLITE
@pytest.mark.needs("stores_archives")
def test_deletion_reaches_a_target_that_was_down_later(make_world):
    world = make_world()
    world.set_target()
    archive_id = world.record()
    world.become(archive_id, ArchiveStatus.UPLOADED)
    world.target().script("delete", StorageTimeout())
    assert world.api("DELETE", f"/archives/{archive_id}").problem == (504, "storage_timeout")
    assert world.api("GET", f"/archives/{archive_id}/download").problem == (409, "archive_deleting")
    world.run_jobs()
    assert world.storage.keys("bucket") == set()
    assert world.api("GET", f"/archives/{archive_id}").problem == (404, "archive_not_found")


@ON_SQLITE
@pytest.mark.needs("stores_archives", "the fake")
def test_credentials_refused_later_answer_502(make_world):
    world = make_world()
    world.api("PUT", PATH, MEMORY)
    archive_id = world.record()
    world.become(archive_id, ArchiveStatus.UPLOADED)
    AREAS.passwords["bucket"] = "changed"
    assert world.api("DELETE", f"/archives/{archive_id}").problem == (502, "storage_error")
    assert world.api("GET", f"/archives/{archive_id}").json["status"] == "deleting"
    AREAS.passwords.clear()
    world.run_jobs()
    assert world.api("GET", f"/archives/{archive_id}").problem == (404, "archive_not_found")


@ON_SQLITE
@pytest.mark.needs("stores_archives", "the fake")
def test_failed_upload_marks_the_archive_failed(make_world):
    world = make_world()
    world.api("PUT", PATH, MEMORY)
    archive_id = world.record()
    AREAS.passwords["bucket"] = "changed"
    world.become(archive_id, ArchiveStatus.UPLOADED)
    shown = world.api("GET", f"/archives/{archive_id}").json
    assert (shown["status"], shown["reason"]) == ("failed", "upload_failed")
    assert world.api("GET", f"/archives/{archive_id}/download").problem == (409, "archive_not_downloadable")


@ON_SQLITE
@pytest.mark.needs("stores_archives")
def test_request_waits_seconds_for_a_target_and_a_job_longer(make_world):
    world, left = make_world(), []

    def noted(self, *args):
        left.append(storage_seconds_left())
        raise StorageTimeout

    kinds, kind = services(world.app).targets.kinds, world.storage.kind
    real = kinds[kind]

    class Silent(real):
        probe = noted

    kinds[kind] = Silent
    assert world.api("PUT", PATH, world.storage.body("bucket")).problem == (504, "storage_timeout")
    kinds[kind] = real
    world.set_target()
    archive_id = world.record()
    world.become(archive_id, ArchiveStatus.UPLOADED)
    world.target().script("delete", noted, noted)
    assert world.api("DELETE", f"/archives/{archive_id}").problem == (504, "storage_timeout")
    world.run_jobs()
    probing, deleting, later = left
    assert probing <= 12
    assert deleting <= 14 < later <= 15
