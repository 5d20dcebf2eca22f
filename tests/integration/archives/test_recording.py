"""Starting and stopping a recording, and what the provider answers to it."""

import pytest

from tests.integration.archives.steps import audited, get, items, start, sweep
from tests.support.service import ON_SQLITE, at_once
from videoconf.errors import (
    ProviderConflict,
    ProviderError,
    ProviderResourceNotFound,
    ProviderTimeout,
    ProviderUnavailable,
)
from videoconf.providers import ArchiveState, ArchiveStatus

pytestmark = pytest.mark.needs("archiving", long=True)


@pytest.mark.needs("archiving")
def test_start_returns_the_new_archive(service, api, link, app):
    answer = api("POST", f"/session/{link}/archives", {"name": "Visit 7"})
    assert answer.status == 201
    archive = answer.json
    assert answer.headers["Location"] == f"/archives/{archive['id']}"
    assert (archive["status"], archive["name"], archive["meetingLink"]) == ("started", "Visit 7", link)
    assert archive == get(api, archive["id"])
    assert api.read(link)["archiveId"] == archive["id"]
    service.deliver()
    assert items(api) == [archive], "the webhook says nothing new"
    [entry] = audited(app, "archive.started")
    assert (entry.meeting_link, entry.target, entry.after) == (link, archive["id"], {"name": "(not recorded)"})
    assert api("POST", f"/session/{link}/archives").problem == (409, "archive_already_running")


@pytest.mark.needs("archiving", "end_to_end_encryption")
def test_invalid_start_is_refused(service, api, link, app):
    empty = api.create()
    assert api("POST", f"/session/{empty}/archives").problem == (409, "archive_no_connections")
    encrypted = api.create(endToEndEncryption=True)
    service.join(encrypted)
    assert api("POST", f"/session/{encrypted}/archives").problem == (409, "archive_session_encrypted")
    assert api("POST", "/session/unknown/archives").problem == (404, "meeting_not_found")
    assert api("POST", f"/session/{link}/archives", {"name": 1}).wrong == ["name"]
    assert api("POST", f"/session/{link}/archives", {"url": "x"}).wrong == ["url"]
    assert api("PATCH", f"/session/{link}/end").status == 204
    assert api("POST", f"/session/{link}/archives").problem == (409, "meeting_ended")
    assert items(api) == []
    assert audited(app, "archive.started") == []


@ON_SQLITE
@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (ProviderConflict(provider_code="session_relayed"), (409, "archive_session_relayed")),
        (ProviderConflict(provider_code="other"), (409, "provider_conflict")),
        (ProviderUnavailable(), (503, "provider_unavailable")),
        (ProviderTimeout(), (504, "provider_timeout")),
        (ProviderError(), (502, "provider_error")),
        (RuntimeError("a bug of the plugin"), (502, "provider_plugin_error")),
    ],
)
def test_failed_start_answers_the_providers_error(service, api, link, error, problem):
    service.provider.script("start_archive", error, always=True)
    assert api("POST", f"/session/{link}/archives").problem == problem
    assert items(api) == []


def test_unanswered_start_is_found_at_the_provider(service, api, link, app):
    original = service.provider.start_archive

    def unanswered(*args):
        original(*args)
        raise ProviderTimeout

    service.provider.script("start_archive", unanswered, always=True)
    assert api("POST", f"/session/{link}/archives").problem == (504, "provider_timeout")
    sweep(app)  # the webhook is lost
    assert [one["status"] for one in items(api)] == ["started"]


@ON_SQLITE
@pytest.mark.parametrize("answer", [None, ArchiveState("a/b", "s", "started", ArchiveStatus.STARTED)])
def test_unusable_answer_to_a_start_answers_502(service, api, link, answer):
    service.provider.script("start_archive", lambda *args: answer, always=True)
    answer = api("POST", f"/session/{link}/archives")
    assert answer.status == 502
    assert items(api) == []


@pytest.mark.needs("archiving")
def test_stop_returns_the_stopped_archive(service, api, link, app):
    archive_id = start(api, link)["id"]
    first = api("POST", f"/archives/{archive_id}/stop")
    reason = "requested" if service.provider.key == "fake" else None
    assert (first.status, first.json["status"], first.json["reason"]) == (200, "stopped", reason)
    assert first.json == get(api, archive_id)
    service.fake.change_archive(archive_id, ArchiveStatus.AVAILABLE)
    service.deliver()
    again = api("POST", f"/archives/{archive_id}/stop")
    assert (again.status, again.json["status"]) == (200, "available")
    assert [entry.target for entry in audited(app, "archive.stopped")] == [archive_id]
    assert api("POST", "/archives/unknown/stop").problem == (404, "archive_not_found")


def test_repeated_stop_answers_as_the_provider_does(service, api, link):
    archive_id = start(api, link)["id"]
    stops = at_once([lambda: api("POST", f"/archives/{archive_id}/stop")] * 4)
    assert [(one.status, one.json["status"]) for one in stops] == [(200, "stopped")] * 4
    archive_id = start(api, link)["id"]
    service.provider.script("stop_archive", ProviderUnavailable(), always=True)
    assert api("POST", f"/archives/{archive_id}/stop").problem == (503, "provider_unavailable")
    assert get(api, archive_id)["status"] == "started"
    service.provider.script("stop_archive", ProviderResourceNotFound(), always=True)
    assert api("POST", f"/archives/{archive_id}/stop").json["status"] == "expired"
