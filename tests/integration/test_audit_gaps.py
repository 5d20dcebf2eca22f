"""The audit trail has no gaps: what was tried, who moderates, what left the service, and who really acted."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, event, select, text, update
from sqlalchemy.exc import ProgrammingError

from tests.support.commands import run
from tests.support.service import ON_POSTGRESQL, ON_SQLITE
from tests.support.settings import ALL_PERMISSIONS
from videoconf.audit import AuditEntry
from videoconf.db.transactions import read, write
from videoconf.db.types import db
from videoconf.db.urls import driver_url
from videoconf.errors import ProviderTimeout, ProviderUnavailable
from videoconf.providers import ArchiveStatus


def entries(app, *actions):
    with app.app_context(), read() as session:
        found = session.execute(select(AuditEntry).order_by(AuditEntry.id)).scalars()
        return [one for one in found if not actions or one.action in actions]


@pytest.fixture(autouse=True)
def media_url(monkeypatch):
    """Let the fake provider give URLs of recordings."""
    monkeypatch.setenv("VIDEOCONF_FAKE_MEDIA_URL", "http://127.0.0.1:9")


@pytest.fixture
def recorded(service):
    """Give a meeting with a participant, and an archive of it that is available."""
    link = service.api.create()
    service.join(link)
    service.deliver()
    started = service.api("POST", f"/session/{link}/archives", {})
    assert started.status == 201, started
    return link, started.json["id"]


@pytest.mark.parametrize("error", [ProviderTimeout(), ProviderUnavailable()])
@pytest.mark.needs("archiving", long=True)
def test_start_whose_outcome_is_unknown_is_in_the_trail(app, service, error):
    link = service.api.create()
    service.join(link)
    service.deliver()
    service.provider.script("start_archive", error)
    assert service.api("POST", f"/session/{link}/archives", {"name": "canary"}).status >= 500
    [entry] = entries(app, "archive.start_requested")
    assert (entry.meeting_link, entry.actor, entry.after["name"]) == (link, "tester", "(not recorded)")


@pytest.mark.needs("moderation")
@pytest.mark.parametrize(
    ("call", "method", "path", "requested"),
    [
        ("disconnect", "DELETE", "/session/{link}/attendees/{connection}", "attendee.disconnect_requested"),
        ("mute", "POST", "/session/{link}/attendees/{connection}/mute", "attendee.mute_requested"),
        ("mute", "POST", "/session/{link}/mute", "meeting.mute_requested"),
    ],
)
def test_request_is_in_the_trail_before_the_provider_acts(app, service, call, method, path, requested):
    """So that neither the end of this process nor the provider's silence leaves a gap."""
    link = service.api.create()
    connection = service.join(link)
    service.deliver()
    check_trail(app, service, link, call, method, path.format(link=link, connection=connection), requested)


@pytest.mark.needs("archiving")
def test_stop_is_in_the_trail_before_the_provider_acts(app, service, recorded):
    link, archive = recorded
    check_trail(app, service, link, "stop_archive", "POST", f"/archives/{archive}/stop", "archive.stop_requested")


def check_trail(app, service, link, call, method, path, requested):
    """Check that a request about a meeting is in the trail when the provider is called, and once afterwards."""
    seen = []

    def note(*args):
        seen.extend(entries(app, requested))
        raise ProviderUnavailable

    service.provider.script(call, note)
    answer = service.api(method, path)
    assert answer.problem == (503, "provider_unavailable")
    [entry] = seen
    assert (entry.meeting_link, entry.actor) == (link, "tester")
    assert [one.id for one in entries(app, requested)] == [entry.id]


@pytest.mark.needs("moderator", "subscriber", long=True)
def test_token_of_a_moderator_leaves_an_entry(app, service):
    link, other = service.api.create(), service.api.create()
    service.api.token(link, role="moderator", attendee="canary-person")
    service.api.token(link, role="publisher")
    service.api.token(other, role="subscriber")
    [entry] = entries(app, "token.issued")
    assert (entry.meeting_link, entry.after) == (link, {"role": "moderator"})


def test_export_of_attendance_leaves_an_entry(app, service):
    link = service.api.create()
    assert service.api("GET", f"/session/{link}/attendance").status == 200
    assert entries(app, "attendance.exported") == []
    assert service.api("GET", f"/session/{link}/attendance", Accept="text/csv").status == 200
    assert service.api("GET", "/session/unknown/attendance", Accept="text/csv").status == 404
    [entry] = entries(app, "attendance.exported")
    assert entry.meeting_link == link


def test_export_across_meetings_leaves_an_entry(app, service):
    service.api.create()
    assert service.api("GET", "/attendance?attendee=canary-person").status == 200
    assert entries(app, "attendance.exported") == []
    for query in ("attendee=canary-person", "extIdPrefix=course-"):
        assert service.api("GET", f"/attendance?{query}", Accept="text/csv").status == 200
    of_person, of_meetings = entries(app, "attendance.exported")
    assert of_person.target.startswith("sha256:")
    assert (of_person.meeting_link, of_meetings.meeting_link, of_meetings.target) == (None, None, None)


def test_actor_type_distinguishes_callers_from_the_system(app, service):
    """A caller may have any name."""
    impostor = service.caller_with(subject="retention")
    impostor.create()
    [entry] = entries(app, "meeting.created")
    assert (entry.actor, entry.actor_type) == ("retention", "caller")
    [shown] = service.api("GET", "/audit?actor=retention").json
    assert shown["actorType"] == "caller"


@pytest.mark.needs("archiving")
def test_caller_named_like_the_system_suppresses_no_entry(app, service):
    """Of its own retention the service records no refusal, since it asks every hour."""
    link = service.api.create()
    service.join(link)
    service.deliver()
    archive = service.api("POST", f"/session/{link}/archives", {}).json["id"]
    impostor = service.caller_with(subject="retention")
    assert impostor("DELETE", f"/archives/{archive}").problem == (409, "archive_not_deletable")
    [entry] = entries(app, "archive.deletion_refused")
    assert (entry.actor, entry.actor_type, entry.target) == ("retention", "caller", archive)


def test_server_names_each_request_itself(app, service):
    for _ in range(2):
        service.api("POST", "/session", {}, X_Request_ID="mine")
    first, second = entries(app, "meeting.created")
    assert first.request_id == second.request_id == "mine"
    assert len({first.server_request_id, second.server_request_id, "mine"}) == 3
    service.api("POST", "/session", {})
    last = entries(app, "meeting.created")[-1]
    assert last.server_request_id == last.request_id
    shown = service.api("GET", "/audit").json[0]
    assert shown["serverRequestId"] == last.server_request_id


def age(app, count, days):
    with app.app_context(), write() as session:
        ids = session.execute(select(AuditEntry.id).order_by(AuditEntry.id).limit(count)).scalars().all()
        then = datetime.now(UTC) - timedelta(days=days)
        session.execute(update(AuditEntry).where(AuditEntry.id.in_(ids)).values(at=then))


def test_old_entries_are_pruned_and_others_stay(app, service):
    for _ in range(5):
        service.api.create()
    age(app, 3, days=100)
    result = run(app, "audit", "prune", "--older-than-days", "99", "--actor", "ann")
    assert result.exit_code == 0, result.output
    found = entries(app)
    assert [one.action for one in found] == ["meeting.created", "meeting.created", "audit.pruned"]
    assert (found[-1].actor, found[-1].actor_type, found[-1].after["entries"]) == ("ann", "operator", 3)


@contextmanager
def as_role(app, role):
    """Let the application's connections have the rights of a role that owns nothing."""

    def become(connection):
        connection.execute(text(f"SET LOCAL ROLE {role}"))

    with app.app_context():
        engine = db.engine
    event.listen(engine, "begin", become)
    yield
    event.remove(engine, "begin", become)


@ON_POSTGRESQL
def test_role_of_the_service_only_adds_and_reads_entries(app, service, database_url):
    service.api.create()
    owner = create_engine(driver_url(database_url))
    role = "trail_" + database_url.rpartition("/")[2].partition("?")[0][-12:].replace("-", "_").lower()
    with owner.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role}"))
        connection.execute(text(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}"))
    try:
        with as_role(app, role):
            refused = run(app, "audit", "protect", role)
        assert (refused.exit_code, "set VIDEOCONF_DATABASE_DIRECT_URL" in refused.output) == (1, True)
        assert "does not exist" in run(app, "audit", "protect", "nosuchrole").output
        assert run(app, "audit", "protect", role).exit_code == 0
        assert run(app, "audit", "protect", "a; DROP").exit_code == 1
        for statement in ("UPDATE audit_entry SET actor = 'x'", "DELETE FROM audit_entry", "TRUNCATE audit_entry"):
            with owner.connect() as connection:
                connection.execute(text(f"SET ROLE {role}"))
                assert connection.execute(text("SELECT count(*) FROM audit_entry")).scalar_one() == 1
                with pytest.raises(ProgrammingError, match="permission denied"):
                    connection.execute(text(statement))
    finally:
        with owner.begin() as connection:
            connection.execute(text(f"DROP OWNED BY {role}"))
            connection.execute(text(f"DROP ROLE {role}"))
        owner.dispose()


@ON_SQLITE
def test_protecting_needs_postgresql(app):
    assert "Only PostgreSQL" in run(app, "audit", "protect", "videoconf").output


@pytest.mark.needs("archiving", "archive_downloads", long=True)
def test_download_leaves_an_entry(app, service, recorded):
    link, archive = recorded
    service.fake.change_archive(archive, ArchiveStatus.STOPPED)
    assert service.api("GET", f"/archives/{archive}/download").problem == (409, "archive_not_downloadable")
    assert entries(app, "archive.download_issued") == []
    service.fake.change_archive(archive, ArchiveStatus.AVAILABLE)
    service.deliver()
    assert service.api("GET", f"/archives/{archive}/download").status in (200, 302)
    [entry] = entries(app, "archive.download_issued")
    assert (entry.meeting_link, entry.target) == (link, archive)


@pytest.mark.needs("archiving")
def test_legal_hold_is_lifted_by_its_own_permission(service, recorded):
    _, archive = recorded
    without = service.caller_with([one for one in ALL_PERMISSIONS if one != "LiftLegalHold"])
    assert without("PATCH", f"/archives/{archive}", {"legalHold": True}).status == 204
    assert without("PATCH", f"/archives/{archive}", {"legalHold": False}).problem == (403, "forbidden")
    assert without("PATCH", f"/archives/{archive}", {"legalHold": False, "name": "x"}).problem == (403, "forbidden")
    assert service.api("GET", f"/archives/{archive}").json["legalHold"] is True
    assert without("PATCH", f"/archives/{archive}", {"name": "y"}).status == 204
    assert service.api("PATCH", f"/archives/{archive}", {"legalHold": False}).status == 204
