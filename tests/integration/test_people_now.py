"""How many people are at several meetings now: what the lists of their attendees say, in one request."""

import pytest

from tests.support.service import ON_SQLITE, Caller


def now(caller: Caller, *links: str) -> dict[str, int]:
    answer = caller("GET", f"/attendance/now?meetingLinks={','.join(links)}")
    assert answer.status == 200, answer
    return dict(answer.json["people"])


def test_count_of_people_matches_the_list(service, api):
    busy, quiet, ended = api.create(), api.create(), api.create()
    for attendee in ("ann", "ann", "bob"):  # ann with two devices
        service.join(busy, attendee=attendee)
    leaver = service.join(busy, attendee="cy")
    service.join(ended, attendee="ann")
    service.deliver()
    service.fake.leave(leaver)
    assert api("PATCH", f"/session/{ended}/end").status == 204
    service.deliver()
    assert now(api, busy, quiet, ended) == {busy: 2, quiet: 0, ended: 0}
    for link, people in now(api, busy, quiet, ended).items():
        assert len(api.attendees(link, active="true")) == people


def test_connections_without_a_leave_count_until_the_cap(make_app, clock, headers):
    from tests.support.service import service_of

    service = service_of(make_app(clock=clock, connection_cap_hours=2), headers)
    link = service.api.create()
    service.join(link, attendee="ann")
    service.deliver()
    assert now(service.api, link) == {link: 1}
    clock.step(hours=2, minutes=1)
    assert now(service.api, link) == {link: 0}


def test_link_of_another_tenant_is_left_out(service, api):
    mine, theirs = api.create(), service.caller_with(tenant="other").create()
    assert now(api, mine, theirs, "unknown") == {mine: 0}
    assert now(service.caller_with(tenant="other"), mine, theirs) == {theirs: 0}


@ON_SQLITE
@pytest.mark.parametrize("links", ["", ",", "a,,b", ",".join(f"m{number}" for number in range(101)), "a\x00"])
def test_wrong_links_are_refused(api, links):
    from urllib.parse import quote

    assert api("GET", f"/attendance/now?meetingLinks={quote(links)}").wrong == ["meetingLinks"]


@ON_SQLITE
def test_hundred_links_and_repeated_ones_are_counted(api):
    link = api.create()
    assert now(api, link, link, *(f"m{number}" for number in range(99))) == {link: 0}
