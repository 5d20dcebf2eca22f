"""Setting, reading and removing a storage target."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import insert, text

from tests.integration.storage_targets.steps import CANARY, PATH, rows, states, target
from tests.support.service import ON_POSTGRESQL, ON_SQLITE, at_once
from videoconf.api.services import services
from videoconf.db.transactions import lock, write
from videoconf.errors import StorageConflict, StorageEndpointRefused, StorageTimeout, StorageUnavailable
from videoconf.storage_targets.models import StorageTargetRow
from videoconf_fake.memory import AREAS, MemoryTarget


@pytest.mark.needs
def test_target_is_set_read_and_removed(api, app):
    assert api("GET", PATH).problem == (404, "storage_target_not_found")
    answer = api("PUT", PATH, target())
    assert (answer.status, answer.body, answer.headers["Content-Type"].split(";")[0]) == (
        200,
        b"null",
        "application/json",
    )
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
def test_accept_header_chooses_the_media_type_of_null(api, app):
    answer = api("PUT", PATH, target(), Accept="application/json")
    assert (answer.body, answer.headers["Content-Type"]) == (b"null", "application/json")
    assert api("PUT", PATH, target(), Accept="image/png").problem == (406, "not_acceptable")
    assert states(app) == ["active"]


def test_new_target_replaces_the_old_one_and_repeats_do_nothing(api, app):
    for area in ("one", "two", "two"):
        assert api("PUT", PATH, target(area)).status == 200
    assert states(app) == ["replaced", "replaced", "active"]
    assert api("GET", PATH).json["area"] == "two"
    shown = {"name": "MEMORY", "fallback": "none"}
    entries = [(one["before"], one["after"]) for one in api("GET", "/audit").json]
    one, two = ({**shown, "area": area} for area in ("one", "two"))
    assert entries == [(two, two), (one, two), (None, one)]


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
def test_invalid_body_answers_422_with_each_field(api, app, body, wrong):
    answer = api("PUT", PATH, body)
    assert answer.wrong == wrong
    assert CANARY not in answer.body.decode()
    assert states(app) == []


@ON_SQLITE
def test_unknown_kind_is_answered_with_the_kinds(api):
    answer = api("PUT", PATH, {"name": "TAPE"})
    assert answer.json["errors"] == {"name": ["Must be one of: AWSS3, AZURE, MEMORY."]}


@ON_SQLITE
def test_body_other_than_json_answers_400(api):
    assert api("PUT", PATH, b"{", Content_Type="application/json").problem == (400, "malformed_request")
    assert api("PUT", PATH, b"{}", Content_Type="text/plain").problem == (415, "unsupported_media_type")


def test_broken_target_is_refused_with_the_reason(api, app, areas):
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
        (StorageEndpointRefused, (422, "storage_endpoint_refused")),
        (ZeroDivisionError, (422, "storage_target_rejected")),
        (SystemExit, (422, "storage_target_rejected")),
    ],
)
def test_target_that_does_not_answer_is_not_set(app, api, caplog, error, problem):
    api("PUT", PATH, target("good"))

    class Failing(MemoryTarget):
        def put(self, *args, **kwargs):
            raise error(CANARY)

    services(app).targets.kinds["memory"] = Failing
    with caplog.at_level(logging.DEBUG):
        answer = api("PUT", PATH, target("bad"))
    assert answer.problem == problem
    if error is ZeroDivisionError:
        assert CANARY not in answer.body.decode() + caplog.text
    assert api("GET", PATH).json["area"] == "good"


@ON_SQLITE
def test_target_that_returns_other_bytes_is_refused(app, api):
    class Else(MemoryTarget):
        def put(self, key, stream, **kw):
            return super().put(key, type(stream)(b"else"), **kw)

    services(app).targets.kinds["memory"] = Else
    assert api("PUT", PATH, target()).problem == (422, "storage_target_rejected")


def test_second_of_two_concurrent_changes_answers_409(api, app):
    answers, conflicts = [], []
    sync = services(app).jobs.works["sync_storage"].handler

    class Meddling(MemoryTarget):
        def probe(self):
            answers.append(api("PUT", PATH, target("inner")))
            answers.append(api("DELETE", PATH))
            with app.app_context(), pytest.raises(StorageConflict) as conflict:
                sync({"tenant": "default", "provider": services(app).providers.default.key})
            conflicts.append(conflict.value.retry_after_seconds)

    services(app).targets.kinds["memory"] = Meddling
    assert api("PUT", PATH, target("outer")).status == 200
    assert [answer.problem for answer in answers] == [(409, "storage_conflict")] * 2
    assert conflicts == [5], "the job leaves the provider alone meanwhile"
    services(app).targets.kinds["memory"] = MemoryTarget
    assert api("GET", PATH).json["area"] == "outer"
    answers = at_once([lambda area=f"area-{n}": api("PUT", PATH, target(area)).status for n in range(4)])
    assert set(answers) <= {200, 409}
    assert 200 in answers
    assert states(app).count("active") == 1


@ON_POSTGRESQL
def test_change_waits_for_another_that_is_beginning(api, app):
    """Neither would see the other's row before it is committed. SQLite has one writer."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))")
    with ThreadPoolExecutor(1) as pool:
        with app.app_context(), write() as session:
            lock(session, "storage_target:default")
            late = pool.submit(api, "PUT", PATH, target())
            deadline = time.monotonic() + 10
            while not session.execute(waiting).scalar_one():
                assert time.monotonic() < deadline, "the other did not wait"
            begun = {"tenant": "default", "kind": "memory", "state": "pending", "configuration": b""}
            session.execute(insert(StorageTargetRow).values(**begun, description={}, created_by="tester"))
        assert late.result(10).problem == (409, "storage_conflict")
