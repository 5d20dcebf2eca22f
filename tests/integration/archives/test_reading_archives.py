"""The list of archives, reading, renaming and holding one, and who may do so."""

import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from tests.integration.archives.steps import audited, finished, get, items, start
from tests.support.service import ON_SQLITE
from videoconf.archives.models import Archive
from videoconf.db.transactions import write
from videoconf.errors import (
    ProviderUnavailable,
)
from videoconf.providers import ArchiveStatus

pytestmark = pytest.mark.needs("archiving", long=True)


def test_list_is_paged_filtered_and_newest_first(service, api, link):
    other = api.create()
    service.join(other)
    ids = [finished(service, link, name=f"number {number}") for number in range(3)]
    running = start(api, other)["id"]
    service.deliver()
    assert [one["id"] for one in items(api)] == [running, *reversed(ids)]

    first = api("GET", "/archives?pageSize=3")
    assert first.json["count"] == 4
    assert json.loads(first.headers["X-Pagination"])["totalPages"] == 2
    assert 'rel="next"' in first.headers["Link"]
    assert [one["id"] for one in items(api, "?pageSize=3&page=2")] == [ids[0]]
    assert items(api, "?page=9") == []

    assert {one["id"] for one in items(api, f"?meetingLink={link}")} == set(ids)
    assert [one["id"] for one in items(api, f"?sessionId={api.read(other)['sessionId']}")] == [running]
    assert [one["id"] for one in items(api, "?status=started")] == [running]
    assert items(api, f"?status=started&meetingLink={link}") == []
    assert api("GET", "/archives?status=started").json["count"] == 1


@ON_SQLITE
def test_invalid_archive_query_answers_422(api):
    assert api("GET", "/archives?status=nonsense").wrong == ["status"]
    assert api("GET", "/archives?pageSize=101").wrong == ["pageSize"]
    assert api("GET", "/archives?color=red").wrong == ["color"]
    assert api("GET", "/archives/unknown").problem == (404, "archive_not_found")
    assert api("GET", "/archives/%00%F0%9F%92%A9").status in (400, 404)


def test_archives_of_one_moment_keep_one_order(service, api, link, app):
    ids = [finished(service, link) for _ in range(4)]
    with app.app_context(), write() as session:
        session.execute(update(Archive).values(created_on=datetime(2026, 1, 1, tzinfo=UTC)))
    assert [one["id"] for one in items(api)] == ids[::-1]
    assert [one["id"] for page in (1, 2, 3, 4) for one in items(api, f"?pageSize=1&page={page}")] == ids[::-1]


def test_reading_needs_no_provider(service, api, link):
    archive_id = finished(service, link)
    for name in ("get_archive", "list_archives", "check"):
        service.provider.script(name, ProviderUnavailable(), always=True)
    assert items(api) == [get(api, archive_id)]


def test_archive_of_another_tenant_answers_404(service, api, link):
    archive_id = finished(service, link)
    stranger = service.caller_with(tenant="other")
    assert items(stranger) == items(stranger, f"?meetingLink={link}") == []
    path = f"/archives/{archive_id}"
    for method, target, body in (
        ("GET", path, None),
        ("GET", f"{path}/download", None),
        ("DELETE", path, None),
        ("PATCH", path, {"name": "mine"}),
        ("POST", f"{path}/stop", None),
    ):
        answer, unknown = stranger(method, target, body), stranger(method, target.replace(archive_id, "fa_none"), body)
        assert answer.problem == unknown.problem == (404, "archive_not_found")
        assert answer.json["detail"] == unknown.json["detail"]
    assert stranger("POST", f"/session/{link}/archives").problem == (404, "meeting_not_found")
    assert get(api, archive_id)["name"] is None


@ON_SQLITE
@pytest.mark.parametrize(
    ("method", "path", "permission"),
    [
        ("GET", "/archives", "GetMeetingArchives"),
        ("GET", "/archives/x", "GetMeetingArchives"),
        ("DELETE", "/archives/x", "DeleteMeetingArchive"),
        ("PATCH", "/archives/x", "DeleteMeetingArchive"),
        ("POST", "/archives/x/stop", "StopMeetingArchive"),
        ("POST", "/session/x/archives", "StartMeetingArchive"),
    ],
)
def test_each_operation_needs_its_permission(service, method, path, permission):
    assert service.stranger(method, path).problem == (401, "unauthenticated")
    assert service.caller_with(["GetMeetings"])(method, path).problem == (403, "forbidden")
    assert service.caller_with(permission)(method, path, {} if method == "PATCH" else None).status in (200, 404)


def test_archive_is_renamed_and_held(service, api, link, app):
    archive_id = start(api, link, name="before")["id"]
    path = f"/archives/{archive_id}"
    assert api("PATCH", path, {"name": "after"}).status == 204
    assert api("PATCH", path, {"legalHold": True}).status == 204
    service.fake.change_archive(archive_id, ArchiveStatus.STOPPED)
    service.deliver()  # it names the archive as before
    archive = get(api, archive_id)
    assert (archive["name"], archive["legalHold"], archive["status"]) == ("after", True, "stopped")
    assert api("PATCH", path, {}).status == 204
    assert api("PATCH", path, {"legalHold": True}).status == 204, "as it is"
    entries = [(entry.before, entry.after) for entry in audited(app, "archive.edited")]
    assert entries == [
        ({"name": "(not recorded)"}, {"name": "(not recorded)"}),
        ({"legal_hold": False}, {"legal_hold": True}),
    ]
    assert api("PATCH", path, {"name": None}).wrong == ["name"]
    assert api("PATCH", path, {"name": ""}).wrong == ["name"]
    assert api("PATCH", path, {"legalHold": "true"}).wrong == ["legalHold"]
    assert api("PATCH", path, {"status": "stopped"}).wrong == ["status"]


@pytest.mark.needs("archiving")
def test_archive_on_hold_is_not_deleted(service, api, link, stored):
    archive_id = finished(service, link)
    assert api("PATCH", f"/archives/{archive_id}", {"legalHold": True}).status == 204
    assert api("DELETE", f"/archives/{archive_id}").problem == (409, "archive_on_hold")
    assert service.provider.get_archive(archive_id).status is ArchiveStatus.AVAILABLE
    assert stored.deleted == []
    assert api("PATCH", f"/archives/{archive_id}", {"legalHold": False}).status == 204
    assert api("DELETE", f"/archives/{archive_id}").status == 200
