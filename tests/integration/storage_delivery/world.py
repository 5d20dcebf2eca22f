"""A service with a storage target: create a meeting, record it, deliver the archive, download it."""

import io
import secrets
from typing import Any

import urllib3
from cryptography.fernet import Fernet
from sqlalchemy import func, select, text

from tests.support.service import Caller, credential, service_of
from tests.support.storage_servers import StorageServer
from videoconf.api.services import services
from videoconf.archives.merge import merge_evidence
from videoconf.archives.models import Archive
from videoconf.db.transactions import read, write
from videoconf.meetings.models import Meeting
from videoconf.providers import ArchiveState, ArchiveStatus, Secret
from videoconf.storage_targets.models import StorageTargetRow
from videoconf.testing import Scripted
from videoconf_fake.media import Media
from videoconf_fake.memory import AREAS

KEY = Secret(Fernet.generate_key().decode())
PATH = "/archives/storage-target"
MEMORY = {"name": "MEMORY", "area": "bucket", "password": "canary-password"}


class Areas:
    """Where the fake's recorder puts archives: areas of memory."""

    kind = "memory"

    def body(self, area: str) -> dict[str, Any]:
        """Give the body that sets an area as the storage target."""
        return {**MEMORY, "area": area}

    def keys(self, area: str) -> set[str]:
        return set(AREAS.objects[area])

    def url(self, area: str) -> str:
        """Give what the URLs of an area's objects begin with."""
        return f"memory://{area}/"


class Buckets:
    """Where LiveKit's recorders put archives: buckets of a real S3 server."""

    kind = "s3"

    def __init__(self, server: StorageServer) -> None:
        self._server = server
        self._buckets: dict[str, str] = {}

    def body(self, area: str) -> dict[str, Any]:
        """Give the body that sets a bucket as the storage target. The bucket is this test's own."""
        if area not in self._buckets:
            self._buckets[area] = f"{area}-{secrets.token_hex(6)}"
            self._server.create_bucket(self._buckets[area])
        return {**self._server.target, "bucket": self._buckets[area]}

    def keys(self, area: str) -> set[str]:
        return self._server.keys(self._buckets[area])

    def url(self, area: str) -> str:
        """Give what the URLs of a bucket's objects begin with."""
        return f"{self._server.url}/{self._buckets[area]}/"


class World:
    """A service, and what is done in it."""

    def __init__(self, app, headers, clock, storage: Areas | Buckets):
        self.app, self.clock, self.storage = app, clock, storage
        self.service = service_of(app, headers)
        self.api = self.service.api

    def set_target(self, area="bucket", api=None) -> None:
        """Set a place to which the provider's recorder can put archives."""
        answer = (api or self.api)("PUT", PATH, self.storage.body(area))
        assert answer.status == 200, answer

    def record(self, *, seconds=3, automatic=False, api=None) -> str:
        """Hold a meeting with an archive that was stopped; return the archive's id."""
        api = api or self.api
        link = api.create(enableArchiving=automatic)
        self.service.fake.join(credential(api.token(link)))
        self.service.deliver()
        if automatic and not self.service.provider.capabilities.starts_archives:
            self.run_jobs()
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

    def target(self) -> Scripted:
        """Give the storage target that was set last, to script its calls."""
        with self.app.app_context():
            with read() as session:
                row_id = session.execute(select(func.max(StorageTargetRow.id))).scalar_one()
            return Scripted(services(self.app).targets.open(row_id))

    def target_of(self, archive_id: str):
        with self.app.app_context():
            return services(self.app).targets.open(self.row(archive_id).storage_target_id)


def get(url: str, **headers: str) -> urllib3.BaseHTTPResponse:
    with urllib3.PoolManager(retries=False, timeout=10) as pool:
        return pool.request("GET", url, headers=headers, redirect=False)


def database_dump(world: World) -> str:
    from sqlalchemy import inspect

    from videoconf.db.types import db

    with world.app.app_context(), read() as session:
        tables = inspect(db.engine).get_table_names()
        return str([list(session.execute(text(f'SELECT * FROM "{table}"'))) for table in tables])


def uploaded(world: World, tenant: str) -> Caller:
    """Let the provider say of an archive of a tenant that it has put it under a key; return the tenant's caller.

    The tenant has another meeting, and so has another tenant.
    """
    api = world.service.caller_with(tenant=tenant)
    link = api.create()
    for other in (api, world.service.caller_with(tenant="third")):
        other.create()
    with world.app.app_context(), write() as session:
        meeting_id = session.execute(select(Meeting.id).where(Meeting.meeting_link == link)).scalar_one()
        state = ArchiveState("a-1", "s", "uploaded", ArchiveStatus.UPLOADED, object_key="account/a-1/archive.mp4")
        merge_evidence(session, meeting_id, state)
    return api


def pulled_world(make_world, **settings):
    world = make_world("none", **settings)
    world.api("PUT", PATH, MEMORY)
    archive_id = world.record()
    world.become(archive_id, ArchiveStatus.AVAILABLE)
    return world, archive_id
