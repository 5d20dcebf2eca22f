"""Whom a token names, webhooks name: whatever a token takes comes back unchanged, and is found when asked for."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.plugins.vonage.test_vonage_service import (  # noqa: F401  # fixtures
    make_service,
    make_vonage_standin,
    standin,
    vonage_settings,
    vonage_standin,
)
from tests.service import ON_SQLITE, service_of
from videoconf.api.services import services
from videoconf.tenancy import Caller

AWKWARD = "\t\n\x7f\x80\x85\x9b\xa0\xad\u200d\u2028\ufeff\ufffd\uffff\\\"'"
texts = st.text(st.sampled_from(AWKWARD) | st.characters(), min_size=1, max_size=30)
wishes = st.fixed_dictionaries({}, optional={"attendee": texts, "name": texts, "data": texts})
PRETTY = '{\n\t"role": "doctor",\n\t"ward": 3\n}'


def property_of_wishes(test):
    for wish in ({"data": PRETTY}, {"attendee": "a\tb", "name": "\x9bx\x7f\n", "data": PRETTY}, {"data": "é\n" * 500}):
        test = example(wish=wish)(test)
    once = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
    return once(given(wish=wishes)(test))


def check(api, join, deliver, wish):
    """Let somebody join with a wish; give their id, or None where there is none or the wish is refused."""
    link = api.create()
    if (status := api("POST", f"/session/{link}/token", wish).status) != 200:
        assert status in (400, 422)
        return None
    join(link, **wish)
    deliver()
    [person] = api.attendees(link)
    assert (person["attendee"], person["name"]) == (wish.get("attendee") or wish.get("data"), wish.get("name"))
    return person["attendee"]


@pytest.fixture
def fake(make_app, headers):
    app = make_app()
    return app, service_of(app, headers)


@property_of_wishes
def test_at_the_fake(fake, wish):
    app, service = fake
    attendee = check(service.api, service.join, service.deliver, wish)
    if attendee is not None:
        caller = Caller("tester", "default")
        with app.app_context():
            assert len(services().persons.export(caller, attendee)["connections"]) == 1
            assert services().persons.erase(caller, attendee) == 1
            assert services().persons.export(caller, attendee)["connections"] == []


@pytest.fixture
def vonage(make_service):  # noqa: F811  # the fixture
    return make_service()


@ON_SQLITE
@property_of_wishes
def test_at_vonage(vonage, wish):
    service = vonage
    check(service.api, service.join, service.deliver, wish)


@ON_SQLITE
def test_two_whom_only_a_control_character_tells_apart_are_two(fake):
    _, service = fake
    link = service.api.create()
    named = ["a b", "a\tb", "a\nb", "a\x7fb", "a\x85b", "a\ufffdb"]
    for attendee in named:
        service.join(link, attendee=attendee)
    service.deliver()
    assert sorted(person["attendee"] for person in service.api.attendees(link)) == sorted(named)
