"""Installed plugins that are broken: each is left out and told of, and the service serves with the others."""

import asyncio
import io
import logging
import time
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select, update

from tests.support.service import ON_SQLITE, plugins_with, service_of
from tests.third_party import bad
from videoconf.api.services import services
from videoconf.db.functions import utc_in
from videoconf.db.transactions import read, write
from videoconf.errors import ConfigurationError
from videoconf.hooks import load_plugins
from videoconf.jobs.kinds import RECONCILE_MEETING
from videoconf.jobs.models import Job
from videoconf.jobs.queue import enqueue
from videoconf.meetings.models import Meeting
from videoconf.providers import INTERFACES, ArchiveStatus, Provider, Secret
from videoconf_fake.memory import AREAS
from videoconf_fake.provider import FakeProvider

FOLDER = Path(bad.__file__).parent
LOAD_SECONDS = 0.5
BROKEN = {
    "import_error": "ModuleNotFoundError",
    "syntax_error": "SyntaxError",
    "sys_exit": "SystemExit",
    "keyboard_interrupt": "RuntimeError",
    "cancelled": "CancelledError",
    "hangs": "TimeoutError",
    "unknown_hook": "PluginValidationError",
    "hook_raises": "RuntimeError",
    "hook_exits": "SystemExit",
    "hook_hangs": "TimeoutError",
    "hook_gives_nothing": "TypeError",
    "brings_no_class": "TypeError",
    "brings_no_command": "TypeError",
    "wrong_contract": "TypeError",
    "bad_key": "TypeError",
    "bad_wire_name": "TypeError",
    "no_label": "TypeError",
    "no_settings": "TypeError",
    "no_schema": "TypeError",
    "schema_hangs": "TimeoutError",
}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Give a function that puts a distribution with one plugin beside those that are installed."""

    def install(name):
        module = f"bad_plugin_{name}"
        source = next(FOLDER.glob(f"{name}.*"))
        (tmp_path / f"{module}.py").write_text(source.read_text())
        about = tmp_path / f"{module}-6.6.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 6.6\n")
        (about / "entry_points.txt").write_text(f"[videoconf]\n{name} = {module}\n")
        monkeypatch.syspath_prepend(tmp_path)
        return load_plugins(load_seconds=LOAD_SECONDS)

    return install


@ON_SQLITE
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_left_out_and_the_others_serve(install, make_app, headers, caplog, name):
    with caplog.at_level(logging.WARNING):
        service = service_of(make_app(plugins=install(name)), headers)
    [failure] = service.api("GET", "/providers").json["failures"]
    assert failure == {"plugin": name, "distribution": f"bad_plugin_{name} 6.6", "reason": BROKEN[name]}
    assert any(f"bad_plugin_{name} 6.6" in record.getMessage() for record in caplog.records), "an operator sees it"
    link = service.api.create()
    service.join(link, data="ann")
    service.deliver()
    assert len(service.api.attendees(link)) == 1


@ON_SQLITE
@pytest.mark.parametrize("name", ["import_error", "hangs", "hook_raises"])
def test_listed_broken_plugin_refuses_to_serve_with_a_reason(install, make_app, name):
    with pytest.raises(ConfigurationError) as refused:
        make_app(plugins=install(name), providers=("fake", name))
    assert f"bad_plugin_{name} 6.6" in str(refused.value)
    assert BROKEN[name] in str(refused.value)


UNMAKEABLE = {
    "create_hangs": "TimeoutError (it has 0.5 s)",
    "create_raises": "RuntimeError",
    "create_exits": "SystemExit",
    "create_gives_nothing": "TypeError",
    "settings_hang": "TimeoutError (it has 0.5 s)",
    "capabilities_hang": "TimeoutError (it has 0.5 s)",
}
"""Plugins that say well what they bring, and then cannot make it."""
CLAIMS = {"same_key": "The key 'fake' is claimed", "same_wire_name": "The wire_name 'MEMORY' is claimed"}


@ON_SQLITE
@pytest.mark.parametrize("name", UNMAKEABLE)
def test_provider_that_cannot_be_made_refuses_to_serve_in_time(install, make_app, name):
    key = name.replace("_", "")
    plugins = install(name)
    started = time.monotonic()
    with pytest.raises(ConfigurationError) as refused:
        make_app(plugins=plugins, providers=(key, "fake"))
    assert time.monotonic() - started < 10 * LOAD_SECONDS, "it is not waited for"
    [fault] = refused.value.faults
    assert f"plugin {name!r} of bad_plugin_{name} 6.6" in fault
    assert UNMAKEABLE[name] in fault
    assert "take it out of VIDEOCONF_PROVIDERS" in fault


@ON_SQLITE
@pytest.mark.parametrize("name", UNMAKEABLE)
def test_unlisted_provider_is_not_made(install, make_app, headers, name):
    service = service_of(make_app(plugins=install(name)), headers)
    assert service.api("GET", "/providers").json["failures"] == []
    assert service.api("POST", "/session").status == 200


@ON_SQLITE
@pytest.mark.parametrize("name", CLAIMS)
def test_name_of_two_plugins_refuses_to_start_and_names_both(install, make_app, name):
    with pytest.raises(ConfigurationError) as refused:
        make_app(plugins=install(name))
    assert CLAIMS[name] in str(refused.value)
    assert "'fake' of videoconf" in str(refused.value)
    assert f"bad_plugin_{name} 6.6" in str(refused.value)


@ON_SQLITE
def test_undocumentable_configuration_is_a_free_object(install, make_app, caplog):
    app = make_app(plugins=install("schema_undocumentable"), storage_kinds=("ofnothing", "withanything", "withinner"))
    schemas = app.test_client().get("/openapi.json").json["components"]["schemas"]
    for kind, error in (("ofnothing", "RegistryError"), ("withanything", "TypeError"), ("withinner", "TypeError")):
        name = kind.upper()
        assert schemas[f"StorageTarget{name}"] == {
            "type": "object",
            "properties": {"name": {"type": "string", "enum": [name]}},
            "required": ["name"],
        }
        assert f"storage of kind {kind} cannot be documented: {error}" in caplog.text
    assert "area" in schemas["StorageTargetMEMORY"]["properties"], "the others are documented as ever"


def test_plugin_has_30_seconds_to_load():
    assert load_plugins(()).load_seconds == 30.0


def test_every_bad_plugin_is_tried():
    assert {path.stem for path in FOLDER.glob("[a-z]*.*")} == {*BROKEN, *UNMAKEABLE, *CLAIMS, "schema_undocumentable"}


class Failing(FakeProvider):
    """Works until switched off; then every method raises."""

    failing = None

    def __getattribute__(self, name):
        found = super().__getattribute__(name)
        methods = (
            "ensure_session",
            "issue_token",
            "end_session",
            "verify_webhook",
            "parse_webhook",
            "answer_handshake",
        )
        archives = ("start_archive", "stop_archive", "get_archive", "list_archives", "delete_archive")
        people = ("list_connections", "disconnect", "mute")
        if name in (*methods, *archives, *people) and super().__getattribute__("failing") is not None:
            return super().__getattribute__("fail")
        return found

    def fail(self, *args, **how):
        raise self.failing


@ON_SQLITE
@pytest.mark.parametrize("error", [RuntimeError("tops3cret"), KeyError("tops3cret"), SystemExit("tops3cret")])
def test_error_of_a_method_is_answered_without_its_text(make_app, headers, error):
    service = service_of(make_app(plugins=plugins_with(Failing)), headers)
    api, link = service.api, service.api.create()
    connection = service.join(link)
    [joined] = service.waiting()
    service.provider.failing = error

    answers = [
        api("POST", "/session"),
        api("POST", f"/session/{link}/token", {}),
        api("DELETE", f"/session/{link}/attendees/{connection}"),
        api("POST", f"/session/{link}/mute", {}),
        api("POST", f"/session/{link}/archives", {}),
        service.post(joined),
    ]
    assert [answer.status for answer in answers[:2]] == [502, 502]
    assert answers[-1].status == 401, "what cannot be verified is refused"
    for answer in answers:
        assert answer.status != 500
        assert b"tops3cret" not in answer.body
    assert api("GET", "/session").status == 200

    service.provider.failing = None
    assert service.post(joined).status == 204
    assert len(api.attendees(link)) == 1


@ON_SQLITE
def test_a_method_that_fails_is_the_provider_plugins_fault(make_app, headers):
    service = service_of(make_app(plugins=plugins_with(Failing)), headers)
    service.provider.failing = ZeroDivisionError()
    assert service.api("POST", "/session").problem == (502, "provider_plugin_error")


ERRORS = [
    RuntimeError("tops3cret"),
    SystemExit("tops3cret"),
    asyncio.CancelledError("tops3cret"),
    GeneratorExit("tops3cret"),
]
TARGET = {"name": "MEMORY", "area": "bad-plugins", "password": "memory-has-none"}


@pytest.fixture
def make_service(make_app, headers, monkeypatch):
    """Give a function that makes a service whose provider does this with its archives."""

    def make(storage_scope="archive"):
        monkeypatch.setenv("VIDEOCONF_FAKE_STORAGE_SCOPE", storage_scope)
        app = make_app(encryption_keys=(Secret(Fernet.generate_key().decode()),))
        return app, service_of(app, headers)

    yield make
    AREAS.objects.pop(TARGET["area"], None)


@pytest.fixture
def break_(monkeypatch):
    """Give a function that has all methods of a provider raise an error from now on."""

    def break_(provider, error):
        def fail(*args, **how):
            raise error

        for interface in (Provider, *INTERFACES.values()):
            for name, member in vars(interface).items():
                if callable(member) and not name.startswith("_") and name not in ("create", "Settings"):
                    monkeypatch.setattr(provider, name, fail, raising=False)
        monkeypatch.setattr(provider, "options_schema", fail)

    return break_


def available(service):
    """Record a meeting, and let its archive be available; return its link and the archive's id."""
    link = service.api.create()
    service.join(link)
    archive_id = service.api("POST", f"/session/{link}/archives", {}).json["id"]
    for status in (ArchiveStatus.STOPPED, ArchiveStatus.AVAILABLE):
        service.fake.change_archive(archive_id, status)
    service.deliver()
    return link, archive_id


def failed_jobs(app):
    """Run all jobs but recurring ones, and return the errors of those that failed, by kind."""
    with app.app_context():
        with write() as session:
            session.execute(update(Job).where(Job.key.is_(None), Job.state == "pending").values(due_at=utc_in(-1)))
        services(app).jobs.run_due()
        with read() as session:
            failed = select(Job.kind, Job.last_error).where(Job.last_error.is_not(None))
            return {kind: error.partition(":")[0] for kind, error in session.execute(failed)}


@ON_SQLITE
@pytest.mark.parametrize("error", ERRORS)
def test_error_in_a_request_is_the_plugins_fault(make_service, break_, error):
    _, service = make_service()
    api, (link, archive_id) = service.api, available(service)
    running = api.create()
    service.join(running)
    recorded = api("POST", f"/session/{running}/archives", {}).json["id"]
    service.deliver()
    break_(service.provider, error)
    for method, path, body in (
        ("POST", "/session", {"providerOptions": {"any": 1}}),
        ("POST", f"/session/{link}/token", {}),
        ("POST", f"/session/{link}/mute", {}),
        ("POST", f"/session/{link}/archives", {}),
        ("POST", f"/archives/{recorded}/stop", None),
        ("GET", f"/archives/{archive_id}/download", None),
        ("DELETE", f"/archives/{archive_id}", None),
        ("PUT", "/archives/storage-target", TARGET),
    ):
        answer = api(method, path, body)
        assert answer.problem == (502, "provider_plugin_error"), path
        assert b"tops3cret" not in answer.body


@ON_SQLITE
@pytest.mark.parametrize("error", ERRORS)
def test_options_whose_schema_raises_are_the_plugins_fault(make_service, monkeypatch, error):
    _, service = make_service()

    def fail(self, data, **kwargs):
        raise error

    monkeypatch.setattr(service.provider.options_schema, "validate", fail)
    answer = service.api("POST", "/session", {"providerOptions": {"any": 1}})
    assert answer.problem == (502, "provider_plugin_error")


@ON_SQLITE
@pytest.mark.parametrize("error", ERRORS)
def test_error_in_a_job_is_the_plugins_fault(make_service, break_, error):
    app, service = make_service("account")
    api, link = service.api, service.api.create()
    service.join(link)
    assert api("PUT", "/archives/storage-target", TARGET).status == 200
    failed_jobs(app)
    break_(service.provider, error)
    assert api("PATCH", f"/session/{link}/end").status == 204
    assert api("DELETE", "/archives/storage-target").status == 204
    assert failed_jobs(app) == {"end_session": "provider_plugin_error", "sync_storage": "provider_plugin_error"}


@ON_SQLITE
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("reads", [False, True])
def test_an_archive_that_cannot_be_read_is_the_plugins_fault(make_service, break_, error, reads):
    app, service = make_service("none")
    assert service.api("PUT", "/archives/storage-target", TARGET).status == 200
    available(service)

    class Unreadable(io.RawIOBase):
        def read(self, size=-1):
            raise error

    if reads:
        service.provider.script("open_archive", lambda archive_id: Unreadable(), always=True)
    else:
        break_(service.provider, error)
    assert failed_jobs(app) == {"pull_archive": "provider_plugin_error"}


@ON_SQLITE
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("name", ["list_archives", "get_archive"])
def test_error_in_an_archive_query_is_the_plugins_fault(make_service, error, name):
    app, service = make_service()
    link = service.api.create()
    service.join(link)
    service.api("POST", f"/session/{link}/archives", {})

    def fail(*args):
        raise error

    service.provider.script("list_archives", lambda ref: [], always=True)
    service.provider.script(name, fail, always=True)
    with app.app_context(), write() as session:
        meeting_id = session.execute(select(Meeting.id).where(Meeting.meeting_link == link)).scalar_one()
        enqueue(session, RECONCILE_MEETING, {"meeting_id": meeting_id})
    assert failed_jobs(app) == {RECONCILE_MEETING: "provider_plugin_error"}


@ON_SQLITE
@pytest.mark.parametrize("error", ERRORS)
def test_a_handshake_that_raises_is_the_plugins_fault(make_service, error):
    _, service = make_service()
    service.join(service.api.create())
    [joined] = service.waiting()

    def fail(request):
        raise error

    service.provider.script("answer_handshake", fail, always=True)
    assert service.post(joined).problem == (502, "provider_plugin_error")


class Exiting(FakeProvider):
    """Takes the process along when it is closed."""

    def close(self):
        super().close()
        raise SystemExit


@ON_SQLITE
def test_a_provider_that_exits_when_it_is_closed_is_contained(make_app, caplog):
    app = make_app(plugins=plugins_with(Exiting))
    services(app).closing.close()
    assert "a provider's plugin failed in fake.close" in caplog.text
