"""From a storage target to a download: archives pushed by the provider or copied by us, on real servers."""

import hashlib
import io
import threading
from base64 import b64encode
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
import urllib3
from cryptography.fernet import Fernet
from sqlalchemy import select, text, update
from sqlalchemy.exc import OperationalError

from tests.service import ON_SQLITE, Caller, SteppedClock, credential, in_process, service_of
from tests.storage_servers import StorageServer
from videoconf.api.services import services
from videoconf.archives import copy as pulling
from videoconf.archives.copy import DELETE_PULLED
from videoconf.archives.merge import PULL_ARCHIVE, merge_evidence
from videoconf.archives.models import Archive
from videoconf.audit import AuditEntry
from videoconf.db.functions import utc_in
from videoconf.db.transactions import read, write
from videoconf.errors import ProviderTimeout, StorageTimeout
from videoconf.jobs.models import Job, JobState
from videoconf.jobs.queue import Work, enqueue
from videoconf.meetings.models import Meeting
from videoconf.providers import ArchiveState, ArchiveStatus, Secret
from videoconf.storage import storage_seconds_left
from videoconf.storage_targets.models import StorageTargetRow
from videoconf_fake.media import Media
from videoconf_fake.media_server import MediaServer
from videoconf_fake.memory import AREAS, MemoryTarget

KEY = Secret(Fernet.generate_key().decode())
PATH = "/archives/storage-target"
MEMORY = {"name": "MEMORY", "area": "bucket", "password": "canary-password"}


@pytest.fixture(autouse=True)
def areas():
    for kept in (AREAS.objects, AREAS.passwords, AREAS.missing):
        kept.clear()
    yield AREAS
    for kept in (AREAS.objects, AREAS.passwords, AREAS.missing):
        kept.clear()


class World:
    """A service, and what is done in it."""

    def __init__(self, app, headers, clock):
        self.app, self.clock = app, clock
        self.service = service_of(app, headers)
        self.api = self.service.api

    def record(self, *, seconds=3, automatic=False, api=None) -> str:
        """Hold a meeting with an archive that was stopped; return the archive's id."""
        api = api or self.api
        link = api.create(enableArchiving=automatic)
        self.service.fake.join(credential(api.token(link)))
        self.service.deliver()
        if not automatic:
            assert api("POST", f"/session/{link}/archives", {}).status == 201
        (archive,) = api("GET", f"/archives?meetingLink={link}").json["items"]
        self.clock.step(seconds=seconds)
        assert api("POST", f"/archives/{archive['id']}/stop").status == 200
        self.service.deliver()
        return str(archive["id"])

    def become(self, archive_id: str, status: ArchiveStatus) -> None:
        self.service.fake.change_archive(archive_id, status)
        self.service.deliver()

    def content(self, archive_id: str) -> bytes:
        row = self.row(archive_id)
        return io.BufferedReader(Media(archive_id, row.size_bytes)).read()

    def row(self, archive_id: str) -> Archive:
        with self.app.app_context(), read() as session:
            return session.execute(select(Archive).where(Archive.archive_id == archive_id)).scalar_one()

    def run_jobs(self) -> None:
        with self.app.app_context():
            with write() as session:
                session.execute(text("UPDATE job SET due_at = created_on WHERE key IS NULL"))
            services(self.app).jobs.run_due()

    def url(self, archive_id: str, api: Caller | None = None) -> str:
        answer = (api or self.api)("GET", f"/archives/{archive_id}/download")
        assert answer.status == 200, answer
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.json["expiresOn"].endswith("Z")
        return str(answer.json["url"])

    def target_of(self, archive_id: str):
        with self.app.app_context():
            return services(self.app).targets.open(self.row(archive_id).storage_target_id)


@pytest.fixture
def make_world(make_app, headers, fake_settings, monkeypatch):
    def make(scope="archive", **settings):
        monkeypatch.setenv("VIDEOCONF_FAKE_STORAGE_SCOPE", scope)
        clock = SteppedClock()
        return World(make_app(encryption_keys=(KEY,), development=True, clock=clock, **settings), headers, clock)

    return make


@pytest.mark.needs("stores_archives", "automatic_archiving")
def test_a_request_that_was_overtaken_does_not_say_where_archives_are(make_world, monkeypatch):
    world = make_world("archive")
    targets = services(world.app).targets
    find, overtaking = targets.find_destination, [True]

    def create():
        return world.api("POST", "/session", {"enableArchiving": True}, Idempotency_Key="k")

    def find_slowly(tenant, provider):
        found = find(tenant, provider)
        if overtaking and overtaking.pop():
            with world.app.app_context(), write() as session:
                session.execute(text("UPDATE idempotency_key SET lease_until = created_on"))
            assert world.api("PUT", PATH, {**MEMORY, "area": "later"}).status == 200
            assert create().status == 200
        return found

    assert world.api("PUT", PATH, MEMORY).status == 200
    monkeypatch.setattr(targets, "find_destination", find_slowly)
    assert create().status == 409
    with world.app.app_context(), read() as session:
        [row_id] = session.execute(select(Meeting.storage_target_id)).scalars()
        assert targets.find_in_force(session, "default").id == row_id


def get(url: str, **headers: str) -> urllib3.BaseHTTPResponse:
    with urllib3.PoolManager(retries=False, timeout=10) as pool:
        return pool.request("GET", url, headers=headers, redirect=False)


# --- the whole way, on real servers ---------------------------------------------------------------------------------


@ON_SQLITE
@pytest.mark.parametrize("scope", ["archive", "account", "none"])
@pytest.mark.needs("stores_archives")
def test_an_archive_comes_into_the_bucket_and_is_downloaded_and_deleted(
    make_world, storage_server: StorageServer, scope, caplog
):
    world = make_world(scope)
    assert world.api("PUT", PATH, storage_server.target).status == 200
    archive_id = world.record(automatic=scope == "archive")
    if scope == "none":
        world.become(archive_id, ArchiveStatus.AVAILABLE)
        world.run_jobs()
    else:
        world.become(archive_id, ArchiveStatus.UPLOADED)
    (listed,) = world.api("GET", "/archives").json["items"]
    assert (listed["id"], listed["status"]) == (archive_id, "uploaded")
    assert listed["uploadTarget"] == storage_server.target["name"]
    content = world.content(archive_id)
    assert len(content) >= 375_000

    url = world.url(archive_id)
    whole = get(url)
    assert (whole.status, whole.data) == (200, content)
    assert get(url, Range="bytes=1000-1999").data == content[1000:2000]
    for wrong in (url.replace(quote(archive_id), "other"), url.partition("?")[0], url[:-3] + "abc"):
        assert get(wrong).status in (400, 401, 403, 404)

    target, key = world.target_of(archive_id), world.row(archive_id).object_key
    assert target.stat(key).size_bytes == len(content)
    assert world.api("DELETE", f"/archives/{archive_id}").status == 200
    with pytest.raises(Exception, match="No such stored object"):
        target.stat(key)
    assert get(url).status in (403, 404)
    assert world.service.fake.list_archives(listed["sessionId"]) == []
    for path in ("", "/download"):
        assert world.api("GET", f"/archives/{archive_id}{path}").problem == (404, "archive_not_found")
    world.service.deliver()
    assert world.api("GET", f"/archives/{archive_id}").problem == (404, "archive_not_found")
    target.close()
    everything = caplog.text + database_dump(world)
    secret = storage_server.secret
    for form in (secret, b64encode(secret.encode()).decode(), quote(secret), secret.encode().hex()):
        assert form not in everything


def database_dump(world: World) -> str:
    from sqlalchemy import inspect

    from videoconf.db.types import db

    with world.app.app_context(), read() as session:
        tables = inspect(db.engine).get_table_names()
        return str([list(session.execute(text(f'SELECT * FROM "{table}"'))) for table in tables])


@ON_SQLITE
def test_a_target_that_does_not_work_is_refused_by_a_real_server(make_world, storage_server):
    world, good = make_world(), storage_server.target
    assert world.api("PUT", PATH, good).status == 200
    is_s3 = good["name"] == "AWSS3"
    wrong = {"secretKey": "wrong" * 8} if is_s3 else {"accountKey": "d3Jvbmc="}
    missing = {"bucket": "absent"} if is_s3 else {"container": "absent"}
    for changes, reason in ((wrong, "storage_denied"), (missing, "storage_container_not_found")):
        answer = world.api("PUT", PATH, {**good, **changes})
        assert (*answer.problem, answer.json["reason"]) == (422, "storage_target_rejected", reason)
    closed = {"endpoint": "http://127.0.0.1:9"} if is_s3 else {"domain": "127.0.0.1:9"}
    assert world.api("PUT", PATH, {**good, **closed}).problem == (504, "storage_timeout")
    shown = world.api("GET", PATH).json
    if is_s3:
        assert (shown["bucket"], shown["accessKey"]) == ("archives", "****" + good["accessKey"][-4:])
    assert not {"secretKey", "accountKey"} & shown.keys()
    assert storage_server.secret not in str(shown)


@ON_SQLITE
def test_a_bucket_that_may_not_be_written_to_is_refused(make_world, s3_server, httpserver):
    import re

    httpserver.expect_request(re.compile("/.*")).respond_with_data(
        "<Error><Code>AccessDenied</Code><Message>canary</Message></Error>", status=403
    )
    world = make_world()
    answer = world.api("PUT", PATH, {**s3_server.target, "endpoint": httpserver.url_for("").rstrip("/")})
    assert (*answer.problem, answer.json["reason"]) == (422, "storage_target_rejected", "storage_denied")
    assert b"canary" not in answer.body


@ON_SQLITE
@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "[::1]", "[::ffff:127.0.0.1]"],
)
def test_outside_development_a_listener_on_this_machine_sees_nothing(make_app, headers, s3_server, host):
    import socket

    app = make_app(encryption_keys=(KEY,), storage_hosts=("*", "*:*"))
    api = Caller(in_process(app), headers())
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        port = listener.getsockname()[1]
        for scheme in ("https", "http"):
            answer = api("PUT", PATH, {**s3_server.target, "endpoint": f"{scheme}://{host}:{port}"})
            assert answer.problem == (422, "storage_endpoint_refused")
        azure = {"name": "AZURE", "container": "abc", "accountName": "abc", "accountKey": "d3Jvbmc="}
        answer = api("PUT", PATH, {**azure, "domain": f"{host}:{port}"})
        assert answer.status in (422, 504), answer
        with pytest.raises(BlockingIOError):
            listener.accept()


# --- tenants, and where what was uploaded is ------------------------------------------------------------------------


@pytest.mark.needs("stores_archives")
def test_each_tenants_archives_go_to_its_own_target(make_world):
    world = make_world()
    callers = {tenant: world.service.caller_with(tenant=tenant) for tenant in ("ours", "theirs")}
    for tenant, caller in callers.items():
        assert caller("PUT", PATH, {**MEMORY, "area": tenant}).status == 200
    archives = {
        tenant: [world.record(api=caller), world.record(api=caller, automatic=True)]
        for tenant, caller in callers.items()
    }
    for ids in archives.values():
        for archive_id in ids:
            world.become(archive_id, ArchiveStatus.UPLOADED)
    for tenant, ids in archives.items():
        assert {key.split("/")[1] for key in AREAS.objects[tenant]} == set(ids)
        for archive_id in ids:
            assert world.url(archive_id, callers[tenant]).startswith(f"memory://{tenant}/")
    other = callers["theirs"]("GET", f"/archives/{archives['ours'][0]}/download")
    assert other.problem == (404, "archive_not_found")


def uploaded(world: World, tenant: str) -> Caller:
    """Let the provider say of an archive of a tenant that it has put it under a key; return the tenant's caller."""
    api = world.service.caller_with(tenant=tenant)
    link = api.create()
    with world.app.app_context(), write() as session:
        meeting_id = session.execute(select(Meeting.id).where(Meeting.meeting_link == link)).scalar_one()
        state = ArchiveState("a-1", "s", "uploaded", ArchiveStatus.UPLOADED, object_key="account/a-1/archive.mp4")
        merge_evidence(session, meeting_id, state)
    return api


@pytest.mark.parametrize("scope", ["none", "archive"])
@pytest.mark.parametrize("whose", ["theirs", "default"])
@pytest.mark.needs("archiving")
def test_what_the_provider_put_elsewhere_is_looked_for_in_nobody_elses_target(make_world, monkeypatch, scope, whose):
    world, asked = make_world(scope), []
    assert world.service.caller_with(tenant=whose)("PUT", PATH, {**MEMORY, "area": "theirs"}).status == 200
    api = uploaded(world, "ours")
    monkeypatch.setattr(MemoryTarget, "delete", lambda self, key: asked.append(key))
    assert api("GET", "/archives/a-1").json["status"] == "uploaded"
    assert api("GET", "/archives/a-1/download").problem == (409, "archive_not_downloadable")
    assert api("DELETE", "/archives/a-1").status == 200
    (receipt,) = [entry for entry in api("GET", "/audit").json if entry["action"] == "archive.deleted"]
    assert (asked, receipt["after"]) == ([], {"provider": "gone", "storageTarget": "unreachable"})


@ON_SQLITE
@pytest.mark.needs("archiving")
def test_without_a_setting_of_ours_not_even_the_tenants_own_target_is_asked(make_world):
    world = make_world("none")
    assert world.service.caller_with(tenant="ours")("PUT", PATH, MEMORY).status == 200
    api = uploaded(world, "ours")
    assert api("GET", "/archives/a-1/download").problem == (409, "archive_not_downloadable")
    world.api("PUT", PATH, MEMORY)
    assert world.row("a-1").object_key is None


@pytest.mark.needs("stores_archives")
def test_where_one_setting_serves_the_account_every_tenants_archives_are_in_its_target(make_world):
    world = make_world("account")
    assert world.api("PUT", PATH, MEMORY).status == 200
    api = uploaded(world, "ours")
    assert world.url("a-1", api).startswith("memory://bucket/account/a-1/archive.mp4")


def said_of(world: World, *keys: str | None, **members) -> Archive:
    """Let the provider say of an archive, one after the other, that it has put it under these keys."""
    link = world.api.create()
    with world.app.app_context(), write() as session:
        meeting_id = session.execute(select(Meeting.id).where(Meeting.meeting_link == link)).scalar_one()
        state = ArchiveState("a-1", "s", "uploaded", ArchiveStatus.UPLOADED)
        for key in keys:
            merge_evidence(session, meeting_id, replace(state, object_key=key, **members))
    return world.row("a-1")


def set_two(world: World) -> list[int]:
    """Set a target an hour ago, and another now; return the ids of their rows."""
    for area in ("old", "new"):
        assert world.api("PUT", PATH, {**MEMORY, "area": area}).status == 200
    with world.app.app_context(), write() as session:
        ids = list(session.execute(select(StorageTargetRow.id).order_by(StorageTargetRow.id)).scalars())
        session.execute(update(StorageTargetRow).where(StorageTargetRow.id == ids[0]).values(created_on=utc_in(-3600)))
    return ids


@ON_SQLITE
@pytest.mark.parametrize("minutes_ago", [30, None])
@pytest.mark.needs("stores_archives")
def test_what_was_uploaded_is_in_the_newest_target_of_then(make_world, minutes_ago):
    world = make_world()
    old, new = set_two(world)
    then = None if minutes_ago is None else datetime.now(UTC) - timedelta(minutes=minutes_ago)
    row = said_of(world, "account/a-1/archive.mp4", updated_at=then)
    assert row.storage_target_id == (new if then is None else old)


@ON_SQLITE
@pytest.mark.needs("stores_archives")
def test_what_was_uploaded_is_in_no_target_that_another_provider_was_told_of(make_world):
    world = make_world()
    set_two(world)
    with world.app.app_context(), write() as session:
        session.execute(update(StorageTargetRow).values(used_by={"another:account": "account"}))
    row = said_of(world, "account/a-1/archive.mp4")
    assert (row.status, row.storage_target_id, row.object_key) == ("uploaded", None, None)


@ON_SQLITE
@pytest.mark.needs("stores_archives")
def test_where_an_archive_was_put_is_told_once(make_world):
    world = make_world()
    _, new = set_two(world)
    row = said_of(world, "a/1.mp4", "a/2.mp4", status=ArchiveStatus.AVAILABLE)
    assert (row.storage_target_id, row.object_key) == (new, "a/1.mp4")


@ON_SQLITE
@pytest.mark.needs("stores_archives")
def test_what_was_uploaded_to_nobody_knows_where_is_in_no_target_that_is_set_later(make_world):
    world = make_world()
    set_two(world)
    row = said_of(world, None, "a/1.mp4")
    assert (row.storage_target_id, row.object_key) == (None, None)


@ON_SQLITE
@pytest.mark.parametrize("scope", ["archive", "account"])
@pytest.mark.needs("stores_archives")
def test_what_is_in_a_former_target_is_still_downloaded_and_deleted_there(make_world, scope):
    world = make_world(scope)
    world.api("PUT", PATH, {**MEMORY, "area": "old"})
    archive_id = world.record()
    world.become(archive_id, ArchiveStatus.UPLOADED)
    world.api("PUT", PATH, {**MEMORY, "area": "new"})
    world.api("DELETE", PATH)
    assert world.url(archive_id).startswith("memory://old/")
    assert len(AREAS.objects["old"]) == 1
    assert world.api("DELETE", f"/archives/{archive_id}").status == 200
    assert AREAS.objects["old"] == {}


@ON_SQLITE
@pytest.mark.needs("stores_archives")
def test_what_went_with_the_session_is_where_its_archives_are_found(make_world):
    world = make_world()
    world.api("PUT", PATH, {**MEMORY, "area": "old"})
    archive_id = world.record(automatic=True)
    world.api("PUT", PATH, {**MEMORY, "area": "new"})
    world.become(archive_id, ArchiveStatus.UPLOADED)
    assert list(AREAS.objects["old"]) == [world.row(archive_id).object_key]
    assert world.url(archive_id).startswith("memory://old/")


@ON_SQLITE
@pytest.mark.needs("stores_archives")
def test_a_target_that_is_down_when_an_archive_is_deleted_gets_it_later(make_world, monkeypatch):
    world = make_world()
    world.api("PUT", PATH, MEMORY)
    archive_id = world.record()
    world.become(archive_id, ArchiveStatus.UPLOADED)
    with monkeypatch.context() as patch:
        patch.setattr(MemoryTarget, "delete", lambda self, key: (_ for _ in ()).throw(StorageTimeout()))
        assert world.api("DELETE", f"/archives/{archive_id}").problem == (504, "storage_timeout")
        assert world.api("GET", f"/archives/{archive_id}/download").problem == (409, "archive_deleting")
    world.run_jobs()
    assert AREAS.objects["bucket"] == {}
    assert world.api("GET", f"/archives/{archive_id}").problem == (404, "archive_not_found")


@ON_SQLITE
@pytest.mark.needs("stores_archives")
def test_credentials_that_are_refused_later_are_no_fault_of_the_caller(make_world):
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
@pytest.mark.needs("stores_archives")
def test_an_upload_that_fails_leaves_the_service_alone(make_world):
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
def test_a_request_waits_for_a_target_for_seconds_and_a_job_for_longer(make_world, monkeypatch):
    world, left = make_world(), []

    def noted(self, *args):
        left.append(storage_seconds_left())
        raise StorageTimeout

    with monkeypatch.context() as patch:
        patch.setattr(MemoryTarget, "probe", noted)
        assert world.api("PUT", PATH, MEMORY).problem == (504, "storage_timeout")
    world.api("PUT", PATH, MEMORY)
    archive_id = world.record()
    world.become(archive_id, ArchiveStatus.UPLOADED)
    monkeypatch.setattr(MemoryTarget, "delete", noted)
    assert world.api("DELETE", f"/archives/{archive_id}").problem == (504, "storage_timeout")
    world.run_jobs()
    probing, deleting, later = left
    assert probing <= 12
    assert deleting <= 14 < later <= 15


# --- download from the provider -------------------------------------------------------------------------------------


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_what_is_with_the_provider_is_downloaded_there_by_a_fresh_url(make_world, monkeypatch):
    monkeypatch.setenv("VIDEOCONF_FAKE_MEDIA_URL", "http://127.0.0.1:1")
    world = make_world()
    provider = services(world.app).providers.get("fake")
    archive_id = world.record()
    assert world.api("GET", f"/archives/{archive_id}/download").problem == (409, "archive_not_downloadable")
    world.become(archive_id, ArchiveStatus.AVAILABLE)
    content = world.content(archive_id)
    with MediaServer(provider) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        url = world.url(archive_id).replace("127.0.0.1:1", f"127.0.0.1:{server.server_port}")
        assert get(url).data == content
        part = get(url, Range="bytes=10-19")
        assert (part.status, part.data) == (206, content[10:20])
        assert get(url[:-1] + "x").status == 403
        world.clock.step(minutes=11)
        assert get(url).status == 403, "it has expired"
        fresh = world.url(archive_id)
        assert fresh.partition("?")[2] != url.partition("?")[2]
        server.shutdown()
        thread.join()
    assert "signature=" not in database_dump(world)


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_a_provider_that_gives_no_url_is_told(make_world):
    world = make_world()
    archive_id = world.record()
    world.become(archive_id, ArchiveStatus.AVAILABLE)
    assert world.api("GET", f"/archives/{archive_id}/download").problem == (409, "archive_not_downloadable")
    assert world.api("GET", "/archives/absent/download").problem == (404, "archive_not_found")


# --- copying --------------------------------------------------------------------------------------------------------


def pulled_world(make_world, **settings):
    world = make_world("none", **settings)
    world.api("PUT", PATH, MEMORY)
    archive_id = world.record()
    world.become(archive_id, ArchiveStatus.AVAILABLE)
    return world, archive_id


@pytest.mark.needs("archiving", "archive_downloads")
def test_what_was_copied_is_noted_once_with_its_digest(make_world):
    world, archive_id = pulled_world(make_world)
    for _ in range(3):
        world.run_jobs()
    ((key, stored),) = AREAS.objects["bucket"].items()
    assert stored.content == world.content(archive_id)
    assert key == f"{world.api('GET', f'/archives/{archive_id}').json['meetingLink']}/{archive_id}.mp4"
    with world.app.app_context(), read() as session:
        entries = (
            session.execute(select(AuditEntry.after).where(AuditEntry.action == "archive.delivered")).scalars().all()
        )
    digest = hashlib.sha256(stored.content).hexdigest()
    assert entries == [{"sizeBytes": len(stored.content), "sha256": digest}]
    assert len(world.service.fake.list_archives(world.api("GET", "/archives").json["items"][0]["sessionId"])) == 1


@pytest.mark.needs("archiving", "archive_downloads")
def test_the_providers_copy_is_deleted_where_that_is_wished_and_ours_stays(make_world):
    world, archive_id = pulled_world(make_world, delete_pulled_archives=True)
    world.run_jobs()
    world.run_jobs()
    session_id = world.api("GET", f"/archives/{archive_id}").json["sessionId"]
    assert world.service.fake.list_archives(session_id) == []
    world.service.deliver()  # that it was deleted
    world.run_jobs()
    assert world.api("GET", f"/archives/{archive_id}").json["status"] == "uploaded"
    assert world.url(archive_id).startswith("memory://bucket/")
    assert world.api("DELETE", f"/archives/{archive_id}").status == 200
    assert AREAS.objects["bucket"] == {}


@ON_SQLITE
@pytest.mark.parametrize("fault", ["provider", "short", "storage", "kept in part"])
@pytest.mark.needs("archiving", "archive_downloads")
def test_a_copy_that_fails_is_made_again(make_world, monkeypatch, fault):
    world, archive_id = pulled_world(make_world)
    provider = services(world.app).providers.get("fake")

    put = MemoryTarget.put

    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise ProviderTimeout

    with monkeypatch.context() as patch:
        if fault == "storage":
            patch.setattr(MemoryTarget, "put", lambda *args, **kw: (_ for _ in ()).throw(StorageTimeout()))
        elif fault == "kept in part":
            patch.setattr(MemoryTarget, "put", lambda *args, **kw: replace(put(*args, **kw), size_bytes=1))
        else:
            stream = Broken if fault == "provider" else lambda: io.BytesIO(b"too short")
            patch.setattr(type(provider), "open_archive", lambda self, archive_id: stream())
        world.run_jobs()
    assert AREAS.objects["bucket"] == {}
    assert world.api("GET", f"/archives/{archive_id}").json["status"] == "available"
    world.run_jobs()
    assert world.api("GET", f"/archives/{archive_id}").json["status"] == "uploaded"
    assert len(AREAS.objects["bucket"]) == 1


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_an_archive_that_is_deleted_while_it_is_copied_leaves_nothing(make_world, monkeypatch):
    world, archive_id = pulled_world(make_world)
    original = MemoryTarget.put

    def put(self, key, stream, **kw):
        stored = original(self, key, stream, **kw)
        assert Caller(in_process(world.app), world.api._headers)("DELETE", f"/archives/{archive_id}").status == 200
        return stored

    monkeypatch.setattr(MemoryTarget, "put", put)
    world.run_jobs()
    assert AREAS.objects["bucket"] == {}
    assert world.api("GET", f"/archives/{archive_id}").problem == (404, "archive_not_found")
    assert "archive.delivered" not in {entry["action"] for entry in world.api("GET", "/audit").json}
    assert world.row(archive_id).object_key is None


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_the_providers_copy_is_not_deleted_while_it_is_the_only_one(make_world, monkeypatch):
    world, archive_id = pulled_world(make_world)
    deleted = []
    monkeypatch.setattr(world.service.provider, "delete_archive", deleted.append)
    with world.app.app_context():
        services(world.app).jobs._handlers[DELETE_PULLED]({"id": world.row(archive_id).id})
    assert deleted == []


@ON_SQLITE
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.needs("archiving", "archive_downloads")
def test_what_was_opened_to_be_copied_is_closed(make_world, monkeypatch, fails):
    world, _ = pulled_world(make_world)
    original, opened = world.service.provider.open_archive, []

    def open_archive(archive_id):
        opened.append(original(archive_id))
        return opened[-1]

    monkeypatch.setattr(world.service.provider, "open_archive", open_archive)
    if fails:
        monkeypatch.setattr(MemoryTarget, "put", lambda self, key, stream, **kw: stream.read(1) and 1 / 0)
    world.run_jobs()
    assert [stream.closed for stream in opened] == [True]


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_an_archive_that_is_deleted_before_it_is_copied_is_not_read(make_world, monkeypatch):
    world, archive_id = pulled_world(make_world)
    targets, read_ids = services(world.app).targets, []
    original = targets.open

    def open_(row_id):
        with write() as session:
            session.execute(update(Archive).values(deleting_since=utc_in(0)))
        return original(row_id)

    monkeypatch.setattr(targets, "open", open_)
    monkeypatch.setattr(world.service.provider, "open_archive", read_ids.append)
    world.run_jobs()
    assert read_ids == []
    assert world.row(archive_id).begun_copies is None


@ON_SQLITE
@pytest.mark.parametrize("values", [{"account": "another"}, {"object_key": "there/already.mp4"}, {"status": "expired"}])
@pytest.mark.needs("archiving", "archive_downloads")
def test_what_cannot_or_need_not_be_copied_is_not_asked_for(make_world, monkeypatch, values):
    world, _ = pulled_world(make_world)
    read_ids = []
    with world.app.app_context(), write() as session:
        session.execute(update(Archive).values(values))
    monkeypatch.setattr(world.service.provider, "open_archive", read_ids.append)
    world.run_jobs()
    assert read_ids == []


@pytest.mark.needs("archiving", "archive_downloads")
def test_a_copy_whose_job_is_dead_is_made_after_the_outage(make_world):
    world, archive_id = pulled_world(make_world)
    with world.app.app_context():
        with write() as session:
            session.execute(update(Job).where(Job.kind == PULL_ARCHIVE).values(state=JobState.DEAD))
        for _ in range(2):
            services(world.app).jobs.run_now("resume_pulls")
        with read() as session:
            queued = select(Job.id).where(Job.kind == PULL_ARCHIVE, Job.state == JobState.PENDING)
            assert len(session.execute(queued).all()) == 1, "one that is queued is not queued again"
    world.run_jobs()
    assert world.api("GET", f"/archives/{archive_id}").json["status"] == "uploaded"
    assert len(AREAS.objects["bucket"]) == 1
    with world.app.app_context():
        services(world.app).jobs.run_now("resume_pulls")
        with read() as session:
            assert session.execute(queued).all() == []


@ON_SQLITE
@pytest.mark.parametrize("why", ["no target", "pushed", "another tenant's"])
@pytest.mark.needs("archiving", "archive_downloads")
def test_what_is_not_to_be_copied_is_not_tried_again_and_again(make_world, why):
    world = make_world("archive" if why == "pushed" else "none")
    if why != "no target":
        api = world.api if why == "pushed" else world.service.caller_with(tenant="other")
        assert api("PUT", PATH, MEMORY).status == 200
    world.become(world.record(), ArchiveStatus.AVAILABLE)
    world.run_jobs()
    with world.app.app_context():
        services(world.app).jobs.run_now("resume_pulls")
        with read() as session:
            queued = select(Job.id).where(Job.kind == PULL_ARCHIVE, Job.state == JobState.PENDING)
            assert session.execute(queued).all() == []
    if why != "pushed" or services(world.app).providers.get("fake").pushes_to("memory"):
        assert not AREAS.objects.get("bucket")


def resumed(world: World) -> list[int]:
    """Look for what should be copied; return the ids of archives that are queued then."""
    with world.app.app_context():
        services(world.app).jobs.run_now("resume_pulls")
        with read() as session:
            queued = select(Job.payload).where(Job.kind == PULL_ARCHIVE, Job.state == JobState.PENDING)
            return [payload["id"] for payload in session.execute(queued.order_by(Job.id)).scalars()]


@ON_SQLITE
@pytest.mark.parametrize(
    ("table", "values"),
    [
        (Archive, {"account": "another"}),
        (Archive, {"provider": "another"}),
        (Archive, {"status": "expired"}),
        (StorageTargetRow, {"state": "replaced"}),
        (StorageTargetRow, {"kind": "another"}),
        (Job, {"kind": "another"}),
    ],
)
@pytest.mark.needs("archiving", "archive_downloads")
def test_only_what_can_be_copied_now_is_queued(make_world, table, values):
    world, archive_id = pulled_world(make_world)
    with world.app.app_context(), write() as session:
        dead = JobState.PENDING if table is Job else JobState.DEAD
        session.execute(update(Job).where(Job.kind == PULL_ARCHIVE).values(state=dead))
        of_copy = Job.kind == PULL_ARCHIVE if table is Job else True
        session.execute(update(table).where(of_copy).values(values))
    assert resumed(world) == ([world.row(archive_id).id] if table is Job else [])


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_the_oldest_are_queued_first_and_so_many_at_once(make_world, monkeypatch):
    monkeypatch.setattr(pulling, "RESUMED_AT_ONCE", 2)
    world, first = pulled_world(make_world)
    later = [world.record() for _ in range(2)]
    for archive_id in later:
        world.become(archive_id, ArchiveStatus.AVAILABLE)
    ids = [world.row(archive_id).id for archive_id in (first, *later)]
    with world.app.app_context(), write() as session:
        session.execute(update(Job).where(Job.kind == PULL_ARCHIVE).values(state=JobState.DEAD))
        for id, hours in zip(ids, (1, 3, 2), strict=True):
            session.execute(update(Archive).where(Archive.id == id).values(created_on=utc_in(-3600.0 * hours)))
    assert resumed(world) == [ids[1], ids[2]]
    assert resumed(world) == [ids[1], ids[2], ids[0]]


class Killed(BaseException):
    """As ``kill -9``: nothing of ours catches it."""


def copied_by_a_killed_process(world: World, monkeypatch) -> None:
    """Copy an archive; the process is killed when all of it is in the target, and its lease runs out."""
    original = MemoryTarget.put

    def put(self, key, stream, **kw):
        original(self, key, stream, **kw)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(MemoryTarget, "put", put)
        with pytest.raises(Killed):
            world.run_jobs()
    with world.app.app_context(), write() as session:
        session.execute(text("UPDATE job SET lease_until = created_on WHERE lease_until IS NOT NULL"))


@pytest.mark.needs("archiving", "archive_downloads")
def test_a_copy_by_a_process_that_was_killed_is_deleted_with_its_archive(make_world, monkeypatch):
    world, archive_id = pulled_world(make_world)
    copied_by_a_killed_process(world, monkeypatch)
    assert len(AREAS.objects["bucket"]) == 1
    assert world.api("DELETE", f"/archives/{archive_id}").status == 200
    assert AREAS.objects["bucket"] == {}
    (receipt,) = [entry for entry in world.api("GET", "/audit").json if entry["action"] == "archive.deleted"]
    assert receipt["after"]["storageTarget"] == "gone"


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_a_process_that_is_killed_after_the_deletion_leaves_no_copy_for_long(make_world, monkeypatch):
    world, archive_id = pulled_world(make_world)
    original = MemoryTarget.put

    def put(self, key, stream, **kw):
        assert Caller(in_process(world.app), world.api._headers)("DELETE", f"/archives/{archive_id}").status == 200
        return original(self, key, stream, **kw)

    with monkeypatch.context() as patch:
        patch.setattr(MemoryTarget, "put", put)
        copied_by_a_killed_process(world, monkeypatch)
    AREAS.passwords["bucket"] = "changed"
    world.run_jobs()
    assert len(AREAS.objects["bucket"]) == 1, "the target was away"
    AREAS.passwords.clear()
    world.run_jobs()
    assert AREAS.objects["bucket"] == {}


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_a_copy_that_was_begun_stays_while_nobody_knows_where_it_will_be(make_world, monkeypatch):
    world, archive_id = pulled_world(make_world)
    copied_by_a_killed_process(world, monkeypatch)
    assert world.api("DELETE", PATH).status == 204
    world.run_jobs()
    assert len(AREAS.objects["bucket"]) == 1
    assert world.api("DELETE", f"/archives/{archive_id}").status == 200
    assert AREAS.objects["bucket"] == {}


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_copies_are_made_by_the_threads_for_what_takes_long(make_world):
    world, _ = pulled_world(make_world)
    with world.app.app_context():
        jobs = services(world.app).jobs
        assert jobs.claim(takes_long=False) is None
        assert jobs.claim(takes_long=True).kind == PULL_ARCHIVE


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_a_target_that_is_changed_between_two_attempts_keeps_no_copy(make_world, monkeypatch):
    world, archive_id = pulled_world(make_world)
    copied_by_a_killed_process(world, monkeypatch)
    assert world.api("PUT", PATH, {**MEMORY, "area": "second"}).status == 200
    world.run_jobs()
    assert (len(AREAS.objects["bucket"]), len(AREAS.objects["second"])) == (0, 1)
    assert world.url(archive_id).startswith("memory://second/")


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_a_former_target_that_is_away_keeps_its_copy_until_the_deletion(make_world, monkeypatch):
    world, archive_id = pulled_world(make_world)
    copied_by_a_killed_process(world, monkeypatch)
    assert world.api("PUT", PATH, {**MEMORY, "area": "second"}).status == 200
    AREAS.passwords["bucket"] = "changed"
    world.run_jobs()
    assert world.url(archive_id).startswith("memory://second/")
    with world.app.app_context(), read() as session:
        states = session.execute(select(Job.state).where(Job.kind == PULL_ARCHIVE)).scalars().all()
    assert set(states) == {JobState.DONE}, "the copy is there all the same"
    assert world.api("DELETE", f"/archives/{archive_id}").problem == (502, "storage_error"), "one copy is left"
    AREAS.passwords.clear()
    world.run_jobs()
    assert (AREAS.objects["bucket"], AREAS.objects["second"]) == ({}, {})


@ON_SQLITE
@pytest.mark.needs("archiving", "archive_downloads")
def test_without_a_target_nothing_is_copied(make_world):
    world = make_world("none")
    archive_id = world.record()
    world.become(archive_id, ArchiveStatus.AVAILABLE)
    world.run_jobs()
    assert world.api("GET", f"/archives/{archive_id}").json["status"] == "available"


@pytest.mark.parametrize("stumbles", [False, True])
def test_a_lease_is_kept_as_long_as_a_long_job_runs(app, monkeypatch, stumbles):
    from videoconf.jobs import queue as module

    jobs, renewed, taken = services(app).jobs, threading.Event(), []
    failures = [OperationalError("", {}, Exception("away"))] if stumbles else []

    def renew_in(seconds):
        if failures and threading.current_thread().name == "videoconf-lease":
            raise failures.pop()
        return utc_in(seconds)

    monkeypatch.setattr(module, "utc_in", renew_in)
    monkeypatch.setattr(module, "LEASE_SECONDS", 1.5 if stumbles else 0.6)

    def handler(payload):
        with app.app_context():
            before = lease(app)
            for _ in range(100):
                if lease(app) != before:
                    renewed.set()
                    break
                renewed.wait(0.02)
            taken.append(jobs.claim())

    jobs.declare(Work("long", handler, takes_long=True))
    with app.app_context():
        with write() as session:
            enqueue(session, "long", {})
        job = jobs.claim()
        assert jobs.run(job)
    assert renewed.is_set()
    assert taken == [None]


def test_a_lease_that_another_has_taken_is_not_renewed(app, monkeypatch):
    from videoconf.jobs import queue as module

    jobs, renewals, kept = services(app).jobs, threading.Semaphore(0), []

    def renew_in(seconds):
        if threading.current_thread().name == "videoconf-lease":
            renewals.release()
        return utc_in(seconds)

    monkeypatch.setattr(module, "utc_in", renew_in)
    monkeypatch.setattr(module, "LEASE_SECONDS", 0.3)

    def handler(payload):
        with app.app_context():
            with write() as session:
                theirs = {"lease_owner": "another", "lease_until": utc_in(3600)}
                session.execute(update(Job).where(Job.kind == "long").values(theirs))
            before = lease(app)
            while renewals.acquire(blocking=False):
                pass
            for _ in range(2):  # when the second begins, the first has ended
                assert renewals.acquire(timeout=10)
            kept.append(lease(app) == before)

    jobs.declare(Work("long", handler, takes_long=True))
    with app.app_context():
        with write() as session:
            enqueue(session, "long", {})
        jobs.run(jobs.claim())
    assert kept == [True]


def lease(app):
    with read() as session:
        return session.execute(text("SELECT lease_until FROM job WHERE kind = 'long'")).scalar_one()


def test_media_are_the_same_wherever_they_are_read_from():
    with closing(Media("fa_1", 3_000_000)) as media:
        whole = io.BufferedReader(media).read()
    assert len(whole) == 3_000_000
    with closing(Media("fa_1", 3_000_000)) as media:
        for at in (0, 5, 1 << 20, (1 << 20) + 3, 2_999_999):
            media.seek(at)
            assert media.read(10) == whole[at : at + 10]


@ON_SQLITE
def test_the_services_own_credentials_are_the_default_tenants_alone(make_world, storage_server, monkeypatch):
    document = dict(storage_server.target)
    is_s3 = document["name"] == "AWSS3"
    fields = ("accessKey", "secretKey") if is_s3 else ("accountName", "accountKey")
    without = {name: value for name, value in document.items() if name not in fields}
    assert make_world().api("PUT", PATH, without).wrong == sorted(fields)
    for name, field in zip(
        ("ACCESS_KEY", "SECRET_KEY") if is_s3 else ("ACCOUNT_NAME", "ACCOUNT_KEY"), fields, strict=True
    ):
        monkeypatch.setenv(f"VIDEOCONF_{'S3' if is_s3 else 'AZURE'}_{name}", document[field])
    world = make_world()
    assert world.api("PUT", PATH, without).status == 200
    assert world.service.caller_with(tenant="other")("PUT", PATH, without).wrong == sorted(fields)
    half = {**without, fields[0]: document[fields[0]]}
    assert world.api("PUT", PATH, half).wrong == [fields[1]], "never a mixture"
