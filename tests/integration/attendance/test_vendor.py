"""The fake vendor's own people: what they do there is what the API shows."""

import pytest

from videoconf.api.services import services


@pytest.fixture
def app_options():
    return {}


def test_switching_off_a_camera_ends_no_connection(service):
    link = service.api.create()
    connection = service.join(link, attendee="ann")
    service.fake.publish(connection)
    service.fake.unpublish(connection)
    service.deliver()
    [ann] = service.api.attendees(link, active="true")
    assert [(one["id"], one["left"]) for one in ann["connections"]] == [(connection, None)]


def test_reopened_room_has_new_connections_only(service):
    link = service.api.create()
    session = service.api.read(link)["sessionId"]
    first = service.join(link, attendee="ann")
    service.fake.close_session(session)
    second = service.join(link, attendee="ann")
    service.deliver()
    [ann] = service.api.attendees(link)
    assert {one["id"]: one["inferred"] for one in ann["connections"] if one["left"]} == {first: True}
    assert [one["id"] for one in ann["connections"] if not one["left"]] == [second]


def test_person_who_joins_after_the_end_is_disconnected(service, app):
    api = service.api
    link = api.create()
    token = api.token(link, attendee="ann")["token"]
    session = api.read(link)["sessionId"]
    assert api("PATCH", f"/session/{link}/end").status == 204
    connection = service.fake.join(token)
    service.deliver()
    [ann] = api.attendees(link, active="true")
    assert [one["id"] for one in ann["connections"]] == [connection]
    assert service.fake.list_connections(session) != []
    with app.app_context():
        assert services(app).jobs.run_now("end_session") == 1, "one job waits a second, for whoever rejoins meanwhile"
    assert service.fake.list_connections(session) == []
    service.deliver()
    assert api.attendees(link, active="true") == []
