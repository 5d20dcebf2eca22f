"""A large archive through one worker: bounded memory, killed in the middle, complete in the end, and once."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select, text

from tests.support.clock import SteppedClock
from tests.support.service import ON_SQLITE, service_of
from tests.support.settings import JWT_SECRET
from videoconf.audit import AuditEntry
from videoconf.db.transactions import read, write
from videoconf.providers import ArchiveStatus, Secret
from videoconf_fake.media import Media

ROOT = Path(__file__).parents[2]
SIZE_BYTES = 2 << 30
MOST_RESIDENT_KIB = 150 << 10
KEY = Fernet.generate_key().decode()


def resident_peak_kib(process):
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    raise AssertionError("the worker is gone")


def wait_for(condition, process, seconds=240):
    peak, give_up_at = 0, time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up_at, "it takes too long"
        assert process.poll() is None, "the worker ended"
        peak = max(peak, resident_peak_kib(process))
        time.sleep(0.1)
    return peak


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="this system has no /proc, from which memory is read"
)
@ON_SQLITE
def test_killed_worker_copies_a_large_archive_in_bounded_memory(
    make_app, headers, s3_server, database_url, fake_settings, tmp_path, monkeypatch
):
    variables = {
        **fake_settings,
        "VIDEOCONF_PROVIDERS": "fake",
        "VIDEOCONF_DATABASE_URL": database_url,
        "VIDEOCONF_JWT_SECRETS": JWT_SECRET,
        "VIDEOCONF_ENCRYPTION_KEYS": KEY,
        "VIDEOCONF_DEVELOPMENT": "true",
        "VIDEOCONF_FAKE_STATE": str(tmp_path / "fake.sqlite"),
        "VIDEOCONF_FAKE_STORAGE_SCOPE": "none",
    }
    for name in ("STATE", "STORAGE_SCOPE"):
        monkeypatch.setenv(f"VIDEOCONF_FAKE_{name}", variables[f"VIDEOCONF_FAKE_{name}"])
    clock = SteppedClock()
    app = make_app(encryption_keys=(Secret(KEY),), development=True, clock=clock)
    service = service_of(app, headers)
    assert service.api("PUT", "/archives/storage-target", s3_server.target).status == 200
    link = service.api.create()
    service.join(link)
    service.deliver()
    archive_id = service.api("POST", f"/session/{link}/archives", {}).json["id"]
    clock.step(seconds=-(-SIZE_BYTES // 125_000))
    assert service.api("POST", f"/archives/{archive_id}/stop").status == 200
    service.fake.change_archive(archive_id, ArchiveStatus.AVAILABLE)
    service.deliver()

    def start_worker():
        command = [sys.executable, "-m", "flask", "--app", "videoconf.app", "videoconf", "worker", "--threads", "1"]
        with (tmp_path / "worker.log").open("ab") as log:
            return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **variables}, stdout=log, stderr=log)

    first = start_worker()
    try:
        wait_for(s3_server.unfinished, first)
        time.sleep(2)  # somewhere in the middle
        assert first.poll() is None
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert s3_server.unfinished(), "it was killed before it was done"
    with app.app_context(), write() as session:  # in place of a minute of waiting
        session.execute(text("UPDATE job SET lease_until = created_on WHERE lease_until IS NOT NULL"))

    second = start_worker()
    try:
        peak = wait_for(lambda: service.api("GET", f"/archives/{archive_id}").json["status"] == "uploaded", second)
    finally:
        second.terminate()
        second.wait(60)
    assert peak < MOST_RESIDENT_KIB, f"{peak >> 10} MiB"
    assert not s3_server.unfinished()
    stored = s3_server.folder / "archives" / link / f"{archive_id}.mp4"
    size_bytes = service.api("GET", f"/archives/{archive_id}").json["sizeBytes"]
    assert stored.stat().st_size == size_bytes >= SIZE_BYTES
    with stored.open("rb") as copy:
        found = hashlib.file_digest(copy, "sha256").hexdigest()
    assert found == hashlib.file_digest(Media(archive_id, size_bytes), "sha256").hexdigest()
    with app.app_context(), read() as session:
        delivered = session.execute(select(AuditEntry.after).where(AuditEntry.action == "archive.delivered")).all()
    assert [entry.after["sha256"] for entry in delivered] == [found]
    assert list((s3_server.folder / "archives").rglob("*.mp4")).count(stored) == 1
    print(f"peak of the worker's memory: {peak >> 10} MiB")
    stored.unlink()
