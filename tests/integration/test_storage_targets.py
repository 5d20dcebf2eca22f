"""Setting, reading and removing the storage target, on the memory kind: what the core promises for every kind."""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import insert, select, text, update

from tests.service import ON_POSTGRESQL, ON_SQLITE, Caller, at_once, in_process, service_of
from videoconf.api.services import services
from videoconf.audit import AuditEntry
from videoconf.cli.main import commands
from videoconf.db.transactions import read, write
from videoconf.errors import ConfigurationError, ProviderRejected, ProviderTimeout, StorageTimeout, StorageUnavailable
from videoconf.providers import Secret
from videoconf.storage_targets.cipher import Cipher
from videoconf.storage_targets.models import StorageTargetRow
from videoconf_fake.memory import AREAS, MemoryTarget

KEYS = tuple(Secret(Fernet.generate_key().decode()) for _ in range(2))
CANARY = "canary-correct-horse"
PATH = "/archives/storage-target"


@pytest.fixture(autouse=True)
def areas():
    """Forget what the areas of memory hold, before and after."""

    def forget():
        for kept in (AREAS.objects, AREAS.passwords, AREAS.missing):
            kept.clear()

    forget()
    yield AREAS
    forget()


@pytest.fixture
def app(make_app):
    return make_app(encryption_keys=KEYS[:1])


@pytest.fixture
def api(app, headers):
    return service_of(app, headers).api


def target(area="bucket", **members):
    return {"name": "MEMORY", "area": area, "password": CANARY, **members}


def rows(app):
    with app.app_context(), read() as session:
        statement = select(StorageTargetRow).order_by(StorageTargetRow.id)
        return list(session.execute(statement).scalars())


def states(app):
    return [row.state for row in rows(app)]


@pytest.mark.needs
def test_a_target_is_set_read_and_removed(api, app):
    assert api("GET", PATH).problem == (404, "storage_target_not_found")
    answer = api("PUT", PATH, target())
    assert (answer.status, answer.body, answer.headers["Content-Type"].split(";")[0]) == (200, b"null", "text/plain")
    shown = api("GET", PATH).json
    assert shown.pop("createdOn").endswith("Z")
    assert shown == {"name": "MEMORY", "area": "bucket", "fallback": "none", "createdBy": "tester"}
    assert AREAS.objects["bucket"] == {}, "the probe has taken away what it wrote"
    assert api("DELETE", PATH).status == 204
    assert api("GET", PATH).problem == api("DELETE", PATH).problem == (404, "storage_target_not_found")
    assert states(app) == ["removed"]
    removed, was_set = api("GET", "/audit").json
    told = {"name": "MEMORY", "area": "bucket", "fallback": "none"}
    assert (was_set["action"], was_set["before"], was_set["after"]) == ("storage_target.set", None, told)
    assert (removed["action"], removed["before"], removed["after"]) == ("storage_target.removed", told, None)
    assert removed["target"] == was_set["target"]


@ON_SQLITE
def test_the_caller_chooses_how_null_is_labelled(api, app):
    answer = api("PUT", PATH, target(), Accept="application/json")
    assert (answer.body, answer.headers["Content-Type"]) == (b"null", "application/json")
    assert api("PUT", PATH, target(), Accept="image/png").problem == (406, "not_acceptable")
    assert states(app) == ["active"]


def test_a_new_target_replaces_the_old_one_and_setting_it_again_changes_nothing_that_shows(api, app):
    for area in ("one", "two", "two"):
        assert api("PUT", PATH, target(area)).status == 200
    assert states(app) == ["replaced", "replaced", "active"]
    assert api("GET", PATH).json["area"] == "two"


@ON_SQLITE
@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, ["name"]),
        ([], ["$"]),
        ({"name": "TAPE"}, ["name"]),
        ({"name": ["MEMORY"]}, ["name"]),
        ({"name": "MEMORY"}, ["area", "password"]),
        (target(area="../etc"), ["area"]),
        (target(area="bucket\n"), ["area"]),
        (target(colour="red"), ["colour"]),
        (target(area=7), ["area"]),
    ],
)
def test_a_body_that_is_wrong_is_refused_by_name(api, app, body, wrong):
    answer = api("PUT", PATH, body)
    assert answer.wrong == wrong
    assert CANARY not in answer.body.decode()
    assert states(app) == []


@ON_SQLITE
def test_a_body_that_is_no_json_is_refused(api):
    assert api("PUT", PATH, b"{", Content_Type="application/json").problem == (400, "malformed_request")
    assert api("PUT", PATH, b"{}", Content_Type="text/plain").problem == (415, "unsupported_media_type")


# --- what does not work leaves what was in force --------------------------------------------------------------------


def test_a_target_that_does_not_work_is_refused_with_the_reason(api, app, areas):
    api("PUT", PATH, target("good"))
    areas.passwords["locked"] = "another"
    areas.missing.add("absent")
    for area, reason in (("locked", "storage_denied"), ("absent", "storage_container_not_found")):
        answer = api("PUT", PATH, target(area))
        assert (*answer.problem, answer.json["reason"]) == (422, "storage_target_rejected", reason)
    assert api("GET", PATH).json["area"] == "good"
    assert states(app) == ["active", "refused", "refused"]
    assert [bool(row.configuration) for row in rows(app)] == [True, False, False], "their credentials are not kept"


@ON_SQLITE
@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (StorageUnavailable, (504, "storage_timeout")),
        (StorageTimeout, (504, "storage_timeout")),
        (ZeroDivisionError, (422, "storage_target_rejected")),
        (SystemExit, (422, "storage_target_rejected")),
    ],
)
def test_a_target_that_does_not_answer_is_not_set(api, monkeypatch, caplog, error, problem):
    api("PUT", PATH, target("good"))

    def fail(self, *args, **kwargs):
        raise error(CANARY)

    monkeypatch.setattr(MemoryTarget, "put", fail)
    with caplog.at_level(logging.DEBUG):
        answer = api("PUT", PATH, target("bad"))
    assert answer.problem == problem
    if error is ZeroDivisionError:
        assert CANARY not in answer.body.decode() + caplog.text
    assert api("GET", PATH).json["area"] == "good"


@ON_SQLITE
def test_a_target_that_gives_back_something_else_is_refused(api, monkeypatch):
    original = MemoryTarget.put
    monkeypatch.setattr(
        MemoryTarget, "put", lambda self, key, stream, **kw: original(self, key, type(stream)(b"else"), **kw)
    )
    assert api("PUT", PATH, target()).problem == (422, "storage_target_rejected")


@pytest.fixture
def account_wide(fake_settings, monkeypatch, make_app):
    """The fake provider with one storage setting for the whole account."""
    monkeypatch.setenv("VIDEOCONF_FAKE_STORAGE_SCOPE", "account")
    return make_app(encryption_keys=KEYS[:1])


def fake(app):
    return services(app).providers.get("fake")


def run_jobs(app):
    with app.app_context():
        return services(app).jobs.run_due()


@pytest.mark.needs("stores_archives")
def test_the_provider_is_told_and_told_again_when_it_is_removed(account_wide, headers):
    api = service_of(account_wide, headers).api
    assert api("PUT", PATH, target()).status == 200
    assert fake(account_wide).recorder.find_storage("any").kind == "memory"
    assert api("DELETE", PATH).status == 204
    assert fake(account_wide).recorder.find_storage("any") is None


@pytest.mark.parametrize(
    ("error", "problem", "state"),
    [
        (ProviderRejected("No."), (422, "storage_target_rejected"), "refused"),
        (ProviderTimeout(), (504, "provider_timeout"), "unverified"),
    ],
)
@pytest.mark.needs("stores_archives")
def test_a_provider_that_refuses_or_is_silent_is_brought_back_to_what_is_in_force(
    account_wide, headers, monkeypatch, error, problem, state
):
    api, provider = service_of(account_wide, headers).api, fake(account_wide)
    api("PUT", PATH, target("old"))
    original = type(provider).apply_storage

    def apply(self, kind, configuration):
        original(self, kind, configuration)  # a time-out: it was done all the same
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(type(provider), "apply_storage", apply)
        assert api("PUT", PATH, target("new")).problem == problem
    assert states(account_wide) == ["active", state]
    assert api("GET", PATH).json["area"] == "old"
    assert provider.recorder.find_storage("any").configuration["area"] == "new"
    run_jobs(account_wide)
    assert provider.recorder.find_storage("any").configuration["area"] == "old"
    api("PUT", PATH, target("new"))
    assert provider.recorder.find_storage("any").configuration["area"] == "new", "repeating it converges"


@pytest.mark.needs("stores_archives")
def test_a_provider_that_is_down_when_the_target_is_removed_is_told_later(account_wide, headers, monkeypatch):
    api, provider = service_of(account_wide, headers).api, fake(account_wide)
    api("PUT", PATH, target())
    with monkeypatch.context() as patch:
        patch.setattr(type(provider), "clear_storage", lambda self: (_ for _ in ()).throw(ProviderTimeout()))
        assert api("DELETE", PATH).status == 204
    assert provider.recorder.find_storage("any").kind == "memory"
    with account_wide.app_context(), write() as session:
        session.execute(text("UPDATE job SET due_at = created_on"))
    run_jobs(account_wide)
    assert provider.recorder.find_storage("any") is None


@pytest.mark.needs("stores_archives")
def test_a_change_whose_process_died_is_undone_at_the_provider(account_wide, headers):
    api, provider = service_of(account_wide, headers).api, fake(account_wide)
    api("PUT", PATH, target("old"))
    api("PUT", PATH, target("new"))
    with account_wide.app_context(), write() as session:  # as if it had died before the last step
        for number, state in enumerate(("active", "pending"), start=1):
            values = {"state": state, "created_on": datetime(2020, 1, 1, tzinfo=UTC)}
            session.execute(update(StorageTargetRow).where(StorageTargetRow.id == number).values(values))
        session.execute(text("UPDATE job SET due_at = created_on"))
    run_jobs(account_wide)
    assert provider.recorder.find_storage("any").configuration["area"] == "old"
    assert states(account_wide) == ["active", "unverified"]


@pytest.mark.parametrize("slow", ["probe", "apply_storage"])
@pytest.mark.needs("stores_archives")
def test_a_change_that_outlives_its_time_leaves_the_provider_with_what_is_in_force(
    account_wide, headers, monkeypatch, slow
):
    api, provider = service_of(account_wide, headers).api, fake(account_wide)
    api("PUT", PATH, target("old"))
    slowly = MemoryTarget if slow == "probe" else type(provider)
    original = getattr(slowly, slow)

    def take_long(*args):
        with account_wide.app_context(), write() as session:
            values = {"created_on": datetime(2020, 1, 1, tzinfo=UTC)}
            session.execute(update(StorageTargetRow).where(StorageTargetRow.state == "pending").values(values))
            session.execute(text("UPDATE job SET due_at = created_on"))
        monkeypatch.undo()
        # In a thread, since the provider's deadline is this request's.
        jobs = threading.Thread(target=run_jobs, args=(account_wide,))
        jobs.start()
        jobs.join()
        original(*args)

    monkeypatch.setattr(slowly, slow, take_long)
    assert api("PUT", PATH, target("new")).problem == (409, "storage_conflict")
    told = provider.recorder.find_storage("any").configuration["area"]
    assert told == ("old" if slow == "probe" else "new"), "one that is too late already is not told"
    run_jobs(account_wide)
    assert api("GET", PATH).json["area"] == "old"
    assert provider.recorder.find_storage("any").configuration["area"] == "old"
    assert states(account_wide) == ["active", "unverified"]


def test_of_two_changes_at_once_the_second_is_refused(api, app):
    answers = []

    class Meddling(MemoryTarget):
        def probe(self):
            answers.append(api("PUT", PATH, target("inner")))
            answers.append(api("DELETE", PATH))

    services(app).targets.kinds["memory"] = Meddling
    assert api("PUT", PATH, target("outer")).status == 200
    assert [answer.problem for answer in answers] == [(409, "storage_conflict")] * 2
    services(app).targets.kinds["memory"] = MemoryTarget
    assert api("GET", PATH).json["area"] == "outer"
    answers = at_once([lambda area=f"area-{n}": api("PUT", PATH, target(area)).status for n in range(4)])
    assert set(answers) <= {200, 409}
    assert 200 in answers
    assert states(app).count("active") == 1


@ON_POSTGRESQL
def test_a_change_waits_for_one_that_begins_in_this_moment(api, app):
    """Neither would see the other's row before it is committed. SQLite has one writer."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))")
    with ThreadPoolExecutor(1) as pool:
        with app.app_context(), write() as session:
            services(app).target_changes._check_no_change_is_under_way(session, "default")
            late = pool.submit(api, "PUT", PATH, target())
            deadline = time.monotonic() + 10
            while not session.execute(waiting).scalar_one():
                assert time.monotonic() < deadline, "the other did not wait"
            begun = {"tenant": "default", "kind": "memory", "state": "pending", "configuration": b""}
            session.execute(insert(StorageTargetRow).values(**begun, description={}, created_by="tester"))
        assert late.result(10).problem == (409, "storage_conflict")


# --- tenants --------------------------------------------------------------------------------------------------------


def test_each_tenant_has_its_own(app, headers):
    service = service_of(app, headers)
    ours, theirs = service.caller_with(tenant="ours"), service.caller_with(tenant="theirs")
    ours("PUT", PATH, target("ours"))
    assert theirs("GET", PATH).problem == theirs("DELETE", PATH).problem == (404, "storage_target_not_found")
    theirs("PUT", PATH, target("theirs"))
    assert ours("GET", PATH).json["area"] == "ours"
    theirs("DELETE", PATH)
    assert ours("GET", PATH).json["area"] == "ours"


@ON_SQLITE
def test_a_change_holds_off_no_other_tenant(app, headers):
    service = service_of(app, headers)
    ours, theirs = service.caller_with(tenant="ours"), service.caller_with(tenant="theirs")
    answers = []

    class Meddling(MemoryTarget):
        def probe(self):
            services(app).targets.kinds["memory"] = MemoryTarget
            answers.append(theirs("PUT", PATH, target("theirs")).status)
            answers.append(theirs("DELETE", PATH).status)

    services(app).targets.kinds["memory"] = Meddling
    assert ours("PUT", PATH, target("ours")).status == 200
    assert answers == [200, 204]
    assert ours("GET", PATH).json["area"] == "ours"


@ON_SQLITE
@pytest.mark.needs("stores_archives")
def test_what_another_tenant_changes_does_not_have_the_provider_told_again(account_wide, headers, monkeypatch):
    service_of(account_wide, headers).api("PUT", PATH, target())
    original, told = type(fake(account_wide)).apply_storage, []

    def apply(self, kind, configuration):
        original(self, kind, configuration)
        told.append(kind)
        with account_wide.app_context(), write() as session:
            other = {"tenant": "other", "kind": "memory", "state": "removed", "configuration": b""}
            session.execute(insert(StorageTargetRow).values(**other, description={}, created_by="other"))

    monkeypatch.setattr(type(fake(account_wide)), "apply_storage", apply)
    with account_wide.app_context(), write() as session:
        session.execute(text("UPDATE job SET due_at = created_on"))
    for _ in range(2):
        run_jobs(account_wide)
    assert told == ["memory"]
    with account_wide.app_context(), read() as session:
        assert session.execute(text("SELECT count(*) FROM job WHERE state = 'pending' AND key IS NULL")).scalar() == 0


@ON_SQLITE
@pytest.mark.needs("stores_archives")
def test_where_the_provider_has_one_for_all_only_the_default_tenant_sets_it(account_wide, headers):
    service = service_of(account_wide, headers)
    other = service.caller_with(tenant="other")
    assert other("PUT", PATH, target()).problem == other("DELETE", PATH).problem == (409, "storage_conflict")
    assert service.api("PUT", PATH, target()).status == 200


@ON_SQLITE
def test_each_operation_needs_its_permission(app, headers):
    service = service_of(app, headers)
    stranger, clerk = service.stranger, service.caller_with("GetMeetingArchives")
    for method in ("PUT", "GET", "DELETE"):
        assert stranger(method, PATH).problem == (401, "unauthenticated")
        assert clerk(method, PATH).problem == (403, "forbidden")


@ON_SQLITE
def test_a_kind_that_comes_with_a_provider_is_there_for_that_provider_alone(make_app):
    assert "memory" in services(make_app()).targets.kinds
    assert "memory" not in services(make_app(providers=("vonage",), serving=False)).targets.kinds


# --- secrets --------------------------------------------------------------------------------------------------------


def test_no_secret_is_in_the_database_a_response_or_the_log(api, app, caplog, areas):
    areas.passwords["locked"] = "another"
    with caplog.at_level(logging.DEBUG):
        bodies = [api("PUT", PATH, target()).body, api("PUT", PATH, target("locked")).body, api("GET", PATH).body]
    assert CANARY not in caplog.text + str(bodies)
    with app.app_context(), read() as session:
        tables = ("storage_target", "audit_entry", "job")
        dump = str([list(session.execute(text(f"SELECT * FROM {table}"))) for table in tables])
        entries = session.execute(select(AuditEntry.action).order_by(AuditEntry.id)).scalars().all()
    assert CANARY not in dump
    assert "bucket" in dump
    assert entries == ["storage_target.set", "storage_target.refused"]


def test_without_a_key_no_target_is_taken(make_app, headers):
    api = service_of(make_app(), headers).api
    assert api("PUT", PATH, target()).problem == (503, "encryption_not_configured")
    assert api("GET", "/readyz").status == 200


def test_a_service_with_another_key_refuses_to_serve(api, app, make_app, headers):
    api("PUT", PATH, target())
    written = rows(app)[0].configuration
    with pytest.raises(ConfigurationError, match="VIDEOCONF_ENCRYPTION_KEYS lacks keys"):
        make_app(encryption_keys=KEYS[1:])
    with pytest.raises(ConfigurationError, match="VIDEOCONF_ENCRYPTION_KEYS lacks keys"):
        make_app()
    other = make_app(encryption_keys=KEYS[1:], serving=False)  # one that served before the row was written
    answer = Caller(in_process(other), headers())("GET", "/readyz")
    assert answer.status == 503
    assert "keys" in answer.json["checks"]["encryption"]
    with other.app_context(), pytest.raises(Exception, match="lacks the key"):
        services(other).targets.open(1)
    assert rows(app)[0].configuration == written


@ON_SQLITE
def test_a_key_that_is_none_is_told_at_the_start_without_its_value(make_app):
    with pytest.raises(ConfigurationError) as refused:
        make_app(encryption_keys=(KEYS[0], Secret(CANARY)))
    assert "VIDEOCONF_ENCRYPTION_KEYS: key 2 is none" in str(refused.value)
    assert CANARY not in str(refused.value)


def test_after_rotation_the_old_key_is_needed_no_more(api, app, make_app, headers):
    for area in ("one", "two"):
        api("PUT", PATH, target(area))
    both = make_app(encryption_keys=(KEYS[1], KEYS[0]))
    result = both.test_cli_runner().invoke(commands, ["rotate-keys"])
    assert (result.exit_code, result.output.rstrip().endswith("2. No other key is needed any more.")) == (0, True), (
        result
    )
    assert "0." in both.test_cli_runner().invoke(commands, ["rotate-keys"]).output
    after = make_app(encryption_keys=KEYS[1:])
    with after.app_context():
        assert services(after).targets.open(2).configuration["password"] == CANARY
    with pytest.raises(ConfigurationError):
        make_app(encryption_keys=KEYS[:1])


@ON_SQLITE
def test_rotation_without_the_old_key_loses_nothing(api, app, make_app):
    api("PUT", PATH, target())
    before = rows(app)[0].configuration
    other = make_app(encryption_keys=KEYS[1:], serving=False)
    result = other.test_cli_runner().invoke(commands, ["rotate-keys"])
    assert result.exit_code == 1
    assert "is not configured" in result.output
    assert rows(app)[0].configuration == before


def test_a_row_that_was_moved_to_another_tenant_cannot_be_read(api, app):
    api("PUT", PATH, target())
    with app.app_context(), write() as session:
        session.execute(update(StorageTargetRow).values(tenant="thief"))
    with app.app_context(), pytest.raises(Exception, match="lacks the key"):
        services(app).targets.open(1)


def test_a_ciphertext_that_was_changed_cannot_be_read():
    cipher = Cipher(KEYS)
    ciphertext = bytearray(cipher.encrypt("t", {"a": 1}))
    assert cipher.decrypt("t", bytes(ciphertext)) == {"a": 1}
    for position in range(0, len(ciphertext), 7):
        changed = bytearray(ciphertext)
        changed[position] ^= 1
        with pytest.raises(Exception, match="lacks the key"):
            cipher.decrypt("t", bytes(changed))


@pytest.mark.parametrize(
    "wrong",
    [{"domain": ":00[sYQC"}, {"domain": "[::1"}, {"domain": "[1:::2]"}, {"domain": "x:99999"}, {"accountKey": "é"}],
)
def test_what_no_url_can_hold_is_refused_by_name(client, headers, wrong):
    body = {"name": "AZURE", "container": "archives", "accountName": "account", "accountKey": "YQ=="} | wrong
    answer = client.put("/archives/storage-target", headers=headers(), json=body)
    assert (answer.status_code, answer.json["code"]) == (422, "validation_failed")
    assert list(answer.json["errors"]) == list(wrong)
