"""A provider with one storage setting for its account is kept to the target in force."""

import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, insert, select, text, update

from tests.integration.storage_targets.steps import KEYS, PATH, states, target
from tests.support.service import ON_SQLITE, service_of
from videoconf.api.services import services
from videoconf.db.functions import utc_in
from videoconf.db.transactions import read, write
from videoconf.errors import ProviderConflict, ProviderRejected, ProviderTimeout, ProviderUnavailable
from videoconf.providers.deadline import seconds_left
from videoconf.storage_targets.models import StorageTargetRow
from videoconf_fake.memory import MemoryTarget

pytestmark = pytest.mark.needs("stores_archives", "the fake")
"""LiveKit takes the target with each archive and has no setting of its own."""


@pytest.fixture
def account_wide(fake_settings, monkeypatch, make_app):
    """The fake provider with one storage setting for the whole account."""
    monkeypatch.setenv("VIDEOCONF_FAKE_STORAGE_SCOPE", "account")
    return make_app(encryption_keys=KEYS[:1])


def parts(app, headers):
    """Give a caller, and the provider, to script it."""
    service = service_of(app, headers)
    return service.api, service.provider


def run_jobs(app):
    with app.app_context():
        return services(app).jobs.run_due()


def test_provider_learns_of_a_target_and_of_its_removal(account_wide, headers):
    api, provider = parts(account_wide, headers)
    assert api("PUT", PATH, target()).status == 200
    assert provider.recorder.find_storage("any").kind == "memory"
    assert api("DELETE", PATH).status == 204
    assert provider.recorder.find_storage("any") is None


@pytest.mark.parametrize(
    ("error", "problem", "state"),
    [
        (ProviderRejected("No."), (422, "storage_target_rejected"), "refused"),
        (ProviderConflict("No."), (422, "storage_target_rejected"), "refused"),
        (ProviderUnavailable(), (503, "provider_unavailable"), "refused"),
        (ProviderTimeout(), (504, "provider_timeout"), "unverified"),
    ],
)
def test_failed_change_returns_the_provider_to_the_old_target(account_wide, headers, error, problem, state):
    api, provider = parts(account_wide, headers)
    api("PUT", PATH, target("old"))

    def apply(kind, configuration):
        provider.real.apply_storage(kind, configuration)  # a time-out: it was done anyway
        raise error

    provider.script("apply_storage", apply)
    assert api("PUT", PATH, target("new")).problem == problem
    assert states(account_wide) == ["active", state]
    [refused] = [one for one in api("GET", "/audit").json if one["action"] == "storage_target.refused"]
    code = "storage_target_rejected" if problem[0] == 422 else problem[1]
    assert refused["after"] == {"state": state, "code": code}
    assert api("GET", PATH).json["area"] == "old"
    assert provider.recorder.find_storage("any").configuration["area"] == "new"
    run_jobs(account_wide)
    assert provider.recorder.find_storage("any").configuration["area"] == "old"
    api("PUT", PATH, target("new"))
    assert provider.recorder.find_storage("any").configuration["area"] == "new", "repeating it converges"


def test_provider_that_is_down_learns_of_the_removal_later(account_wide, headers):
    api, provider = parts(account_wide, headers)
    api("PUT", PATH, target())
    provider.script("clear_storage", ProviderTimeout())
    assert api("DELETE", PATH).status == 204
    assert provider.recorder.find_storage("any").kind == "memory"
    with account_wide.app_context(), write() as session:
        session.execute(text("UPDATE job SET due_at = created_on"))
    run_jobs(account_wide)
    assert provider.recorder.find_storage("any") is None


@ON_SQLITE
def test_removal_waits_two_seconds_for_the_provider(account_wide, headers):
    api, provider = parts(account_wide, headers)
    api("PUT", PATH, target())
    left = []
    provider.script("clear_storage", lambda: left.append(seconds_left()))
    assert api("DELETE", PATH).status == 204
    assert 0 < left[0] <= 2


@ON_SQLITE
def test_change_holds_off_others_for_ninety_seconds(account_wide, headers):
    """Its process may have died; another tenant's change of that age stays pending."""
    api, _ = parts(account_wide, headers)
    api("PUT", PATH, target("old"))
    for seconds, status in ((85, 409), (95, 204)):
        with account_wide.app_context(), write() as session:
            values = {"kind": "memory", "state": "pending", "configuration": b"", "description": {}, "created_by": "x"}
            for tenant in ("default", "other"):
                mine = (StorageTargetRow.created_by == "x", StorageTargetRow.tenant == tenant)
                session.execute(delete(StorageTargetRow).where(*mine))
                row = {**values, "tenant": tenant, "created_on": utc_in(-seconds)}
                session.execute(insert(StorageTargetRow).values(row))
        assert api("DELETE", PATH).status == status
    with account_wide.app_context(), read() as session:
        found = session.execute(select(StorageTargetRow.tenant, StorageTargetRow.state)).all()
    assert sorted(found) == [("default", "removed"), ("default", "unverified"), ("other", "pending")]


def test_provider_forgets_the_change_of_a_process_that_died(account_wide, headers):
    api, provider = parts(account_wide, headers)
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
def test_overdue_change_leaves_the_provider_at_the_old_target(account_wide, headers, slow):
    api, provider = parts(account_wide, headers)
    api("PUT", PATH, target("old"))
    kinds = services(account_wide).targets.kinds

    def take_long():
        with account_wide.app_context(), write() as session:
            values = {"created_on": datetime(2020, 1, 1, tzinfo=UTC)}
            session.execute(update(StorageTargetRow).where(StorageTargetRow.state == "pending").values(values))
            session.execute(text("UPDATE job SET due_at = created_on"))
        kinds["memory"] = MemoryTarget
        # In a thread, since the provider's deadline is this request's.
        jobs = threading.Thread(target=run_jobs, args=(account_wide,))
        jobs.start()
        jobs.join()

    class Slow(MemoryTarget):
        def probe(self):
            take_long()
            super().probe()

    def apply(kind, configuration):
        take_long()
        provider.real.apply_storage(kind, configuration)

    if slow == "probe":
        kinds["memory"] = Slow
    else:
        provider.script("apply_storage", apply)
    assert api("PUT", PATH, target("new")).problem == (409, "storage_conflict")
    told = provider.recorder.find_storage("any").configuration["area"]
    assert told == ("old" if slow == "probe" else "new"), "one that is too late already is not told"
    run_jobs(account_wide)
    assert api("GET", PATH).json["area"] == "old"
    assert provider.recorder.find_storage("any").configuration["area"] == "old"
    assert states(account_wide) == ["active", "unverified"]


@ON_SQLITE
def test_change_of_another_tenant_repeats_no_provider_call(account_wide, headers):
    api, provider = parts(account_wide, headers)
    api("PUT", PATH, target())
    told = []

    def apply(kind, configuration):
        provider.real.apply_storage(kind, configuration)
        told.append(kind)
        with account_wide.app_context(), write() as session:
            other = {"tenant": "other", "kind": "memory", "state": "removed", "configuration": b""}
            session.execute(insert(StorageTargetRow).values(**other, description={}, created_by="other"))

    provider.script("apply_storage", apply, always=True)
    with account_wide.app_context(), write() as session:
        session.execute(text("UPDATE job SET due_at = created_on"))
    for _ in range(2):
        run_jobs(account_wide)
    assert told == ["memory"]
    with account_wide.app_context(), read() as session:
        assert session.execute(text("SELECT count(*) FROM job WHERE state = 'pending' AND key IS NULL")).scalar() == 0


@ON_SQLITE
def test_account_wide_target_is_set_by_the_default_tenant_alone(account_wide, headers):
    service = service_of(account_wide, headers)
    other = service.caller_with(tenant="other")
    assert other("PUT", PATH, target()).problem == other("DELETE", PATH).problem == (409, "storage_conflict")
    assert service.api("PUT", PATH, target()).status == 200
