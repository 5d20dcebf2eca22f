"""The service with providers that lack what a rich one has: what is missing is refused before anything happens.

What they have is tried by the tests of the API that say so: see :mod:`tests.support.presets`.
"""

from functools import partial

import pytest
from sqlalchemy import inspect, select, text

from tests.support.folding import Folded, answered, believed
from tests.support.service import ON_SQLITE
from videoconf.api.services import services
from videoconf.archives.merge import merge_evidence
from videoconf.attendance.roster import RosterReconciler
from videoconf.db.transactions import read, write
from videoconf.db.types import db
from videoconf.meetings.models import Meeting
from videoconf.providers import ArchiveState, ArchiveStatus, Capability, Role, SessionCreation
from videoconf_fake.presets import PRESETS

ON_EVERY_PRESET = pytest.mark.needs()
CALLS = (
    *("ensure_session", "end_session", "issue_token", "disconnect", "mute", "list_connections"),
    *("start_archive", "stop_archive", "get_archive", "list_archives", "delete_archive", "archive_url", "open_archive"),
)


@pytest.fixture
def can(service):
    return service.provider.capabilities


@ON_SQLITE
@ON_EVERY_PRESET
def test_meeting_works_at_every_preset(service, can):
    api, link = service.api, service.api.create()
    just_in_time = can.session_creation is SessionCreation.JUST_IN_TIME
    assert (api.read(link)["sessionId"] is None) == just_in_time
    assert len(service.fake.list_sessions()) == (0 if just_in_time else 1)

    ann = service.join(link, data="ann")
    service.join(link, data="bob")
    for delivery in 2 * service.waiting():
        assert service.post(delivery, service.webhook_path).status == service.taken
    service.fake.leave(ann)
    service.deliver()
    assert len(api.attendees(link)) == 2
    assert len(api.attendees(link, active="true")) == 1

    assert api("PATCH", f"/session/{link}/end").status == 204
    service.deliver()
    assert api.attendees(link, active="true") == []
    assert api("POST", f"/session/{link}/token", {}).problem == (409, "meeting_ended")


@ON_SQLITE
@ON_EVERY_PRESET
def test_log_of_events_tells_what_is_answered(service, can):
    """Folding the log gives the answers of GET; here the webhooks come in the opposite order, and then once more."""
    api, link = service.api, service.api.create()
    ann, bob = (service.join(link, attendee=attendee, name=attendee.title()) for attendee in ("ann", "bob"))
    service.fake.publish(ann)
    if Capability.ARCHIVING in can:
        archive = api("POST", f"/session/{link}/archives", {"name": "Visit"}).json["id"]
        service.project()
        for status in (ArchiveStatus.STOPPED, ArchiveStatus.AVAILABLE):
            service.fake.change_archive(archive, status)
    service.fake.leave(bob)
    service.join(link, attendee="bob")
    for delivery in [*reversed(service.waiting()), *service.waiting()]:
        assert service.post(delivery, f"/webhooks/{service.provider.key}/{delivery.channel}").status == service.taken
        service.project()
    assert api("PATCH", f"/session/{link}/end").status == 204
    service.deliver()
    service.project()

    folded = Folded()
    events = api("GET", f"/events?meetingLink={link}&limit=100").json["items"]
    for event in events:
        folded.take(event)
    assert believed(folded) == answered(api, link)
    assert {one["attendee"]: len(one["connections"]) for one in folded.attendees} == {"ann": 1, "bob": 2}
    told = {event["type"] for event in events}
    assert {"meeting.started", "attendee.joined", "attendee.left", "meeting.ended"} <= told
    assert ("archive.available" in told) == (Capability.ARCHIVING in can)


# --- what is missing ------------------------------------------------------------------------------------------------


def rows(app):
    """Everything that the database holds."""
    with app.app_context(), read() as session:
        tables = inspect(db.engine).get_table_names()
        return {table: list(session.execute(text(f'SELECT * FROM "{table}"'))) for table in tables}


OPERATIONS = {
    "record from the start": (Capability.AUTOMATIC_ARCHIVING, "POST", "/session", {"enableArchiving": True}),
    "encrypt": (Capability.END_TO_END_ENCRYPTION, "POST", "/session", {"endToEndEncryption": True}),
    "start an archive": (Capability.ARCHIVING, "POST", "/session/{link}/archives", {}),
    "stop an archive": (Capability.ARCHIVING, "POST", "/archives/{recorded}/stop", None),
    "delete an archive": (Capability.ARCHIVING, "DELETE", "/archives/{ready}", None),
    "read an archive": (Capability.ARCHIVE_DOWNLOADS, "GET", "/archives/{ready}/download", None),
    "remove an attendee": (Capability.MODERATION, "DELETE", "/session/{link}/attendees/{connection}", None),
    "mute an attendee": (Capability.MODERATION, "POST", "/session/{link}/attendees/{connection}/mute", None),
    "mute everybody": (Capability.MODERATION, "POST", "/session/{link}/mute", None),
    "let a publisher in": (Role.PUBLISHER, "POST", "/session/{link}/token", {"role": "publisher"}),
    "let a subscriber in": (Role.SUBSCRIBER, "POST", "/session/{link}/token", {"role": "subscriber"}),
    "let a moderator in": (Role.MODERATOR, "POST", "/session/{link}/token", {"role": "moderator"}),
}


@pytest.fixture
def known(service, app):
    """A meeting with a participant, and two archives that the provider once reported."""
    link = service.api.create()
    connection = service.join(link)
    service.deliver()
    session_id, ids = service.room(link), {"recorded": "a-1", "ready": "a-2"}
    with app.app_context(), write() as session:
        meeting_id = session.execute(select(Meeting.id).where(Meeting.meeting_link == link)).scalar_one()
        for archive_id, status in ((ids["recorded"], ArchiveStatus.STARTED), (ids["ready"], ArchiveStatus.AVAILABLE)):
            merge_evidence(session, meeting_id, ArchiveState(archive_id, session_id, status, status))
    return {"link": link, "connection": connection, **ids}


@ON_SQLITE
@ON_EVERY_PRESET
@pytest.mark.parametrize("operation", OPERATIONS)
def test_missing_capability_is_refused_without_effect(app, service, can, known, operation):
    asked, method, path, body = OPERATIONS[operation]
    has_it = asked in (can.roles if isinstance(asked, Role) else can.features)
    calls = []
    if not has_it:
        for name in filter(partial(hasattr, service.provider), CALLS):
            service.provider.script(name, lambda *args, name=name: calls.append(name), always=True)
    before = rows(app), service.fake.list_events()
    answer = service.api(method, path.format(**known), body)
    if has_it:
        assert answer.status < 300 or answer.problem[0] in (404, 409), "the vendor has no such archive"
        return
    assert answer.problem == (422, "capability_unsupported")
    assert answer.json.get("errors", {}).keys() <= {"role", *(body or ())}, "it names what was asked for"
    assert calls == []
    assert (rows(app), service.fake.list_events()) == before


def test_every_capability_is_tried_or_listed_with_a_reason():
    tried = {asked for asked, *_ in OPERATIONS.values()}
    quiet = {
        Capability.ROSTER,  # no request asks for it: a job does, below
        Capability.ATTENDEE_NAMES,  # what is not carried is not shown, below
        Capability.STORES_ARCHIVES,  # without it the service copies the archives
    }
    assert tried == {*Capability, *Role} - quiet
    assert all(
        any(asked not in (*preset.can.features, *preset.can.roles) for preset in PRESETS.values())
        for asked in tried - {Role.PUBLISHER}
    )


@ON_SQLITE
@ON_EVERY_PRESET
def test_roster_finds_a_person_whose_webhook_was_lost(app, service, can):
    link = service.api.create()
    service.join(link, data="ann")
    calls, original = [], service.provider.list_connections
    service.provider.script("list_connections", lambda session: calls.append(session) or original(session), always=True)
    parts = services(app)
    with app.app_context():
        RosterReconciler(parts.providers, parts.settings, parts.clock).run()
    found = [(person["attendee"], person["active"]) for person in service.api.attendees(link)]
    if Capability.ROSTER in can:
        named_by_roster = service.provider.key != "janus"
        assert found == [("ann" if named_by_roster else None, True)]
    else:
        assert found == []
        assert calls == []


@ON_SQLITE
@ON_EVERY_PRESET
def test_name_is_shown_if_the_provider_carries_it(service, can):
    link = service.api.create()
    service.join(link, attendee="u-7", name="Ada")
    service.deliver()
    [person] = service.api.attendees(link)
    assert person["attendee"] == "u-7"
    assert person["name"] == ("Ada" if Capability.ATTENDEE_NAMES in can else None)


@ON_SQLITE
@ON_EVERY_PRESET
def test_data_is_accepted_up_to_the_providers_limit(service, can):
    link = service.api.create()
    longest = "d" * can.max_data_characters
    assert service.api("POST", f"/session/{link}/token", {"data": longest}).status == 200
    assert service.api("POST", f"/session/{link}/token", {"data": longest + "d"}).wrong == ["data"]


@ON_SQLITE
@ON_EVERY_PRESET
def test_provider_list_shows_the_capabilities(service, can):
    [shown] = [item for item in service.api("GET", "/providers").json["items"] if item["key"] == service.provider.key]
    assert shown["capabilities"]["features"] == sorted(can.features)
    assert shown["capabilities"]["roles"] == sorted(can.roles)
