"""Whom a token names, webhooks name: whatever a token takes comes back unchanged, and is found when asked for."""

import pytest

from tests.support.service import ON_SQLITE, service_of
from tests.support.wishes import check, property_of_wishes
from videoconf.api.services import services
from videoconf.tenancy import Caller


@pytest.fixture
def fake(make_app, headers):
    app = make_app()
    return app, service_of(app, headers)


@property_of_wishes
def test_fake_names_the_same_person_in_every_place(fake, wish):
    app, service = fake
    attendee = check(service.api, service.join, service.deliver, wish)
    if attendee is not None:
        caller = Caller("tester", "default")
        with app.app_context():
            assert len(services().persons.export(caller, attendee)["connections"]) == 1
            assert services().persons.erase(caller, attendee)["connections"] == 1
            assert services().persons.export(caller, attendee)["connections"] == []


@ON_SQLITE
def test_ids_that_differ_by_a_control_character_are_two_people(fake):
    _, service = fake
    link = service.api.create()
    named = ["a b", "a\tb", "a\nb", "a\x7fb", "a\x85b", "a\ufffdb"]
    for attendee in named:
        service.join(link, attendee=attendee)
    service.deliver()
    assert sorted(person["attendee"] for person in service.api.attendees(link)) == sorted(named)
