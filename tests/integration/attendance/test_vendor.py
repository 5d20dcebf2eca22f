"""The fake vendor's own people: what they do there is what the API shows."""

import pytest

from tests.service import service_of


@pytest.fixture
def service(make_app, headers):
    return service_of(make_app(), headers)


def test_a_camera_that_is_switched_off_is_no_leave(service):
    link = service.api.create()
    connection = service.join(link, attendee="ann")
    service.fake.publish(connection)
    service.fake.unpublish(connection)
    service.deliver()
    [ann] = service.api.attendees(link, active="true")
    assert [(one["id"], one["left"]) for one in ann["connections"]] == [(connection, None)]


def test_a_room_that_closes_and_opens_again(service):
    link = service.api.create()
    session = service.api.read(link)["sessionId"]
    first = service.join(link, attendee="ann")
    service.fake.close_session(session)
    second = service.join(link, attendee="ann")
    service.deliver()
    [ann] = service.api.attendees(link)
    assert {one["id"]: one["inferred"] for one in ann["connections"] if one["left"]} == {first: True}
    assert [one["id"] for one in ann["connections"] if not one["left"]] == [second]
