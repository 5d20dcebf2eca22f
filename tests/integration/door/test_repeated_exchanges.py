"""An exchange whose answer was lost is repeated, and an invitation has a bound of uses."""

import pytest
from sqlalchemy import update

from tests.integration.door.steps import come_in, invite, knock
from videoconf.api.services import services
from videoconf.db.transactions import write
from videoconf.door.models import MOST_USES, Invitation

KEY, OTHER_KEY = "6c0b3f1e-8a41-4a8e-9d0b", "6c0b3f1e-8a41-4a8e-9d0c"


def exchange(service, code, key, **presented):
    return service.stranger("POST", "/join", {"code": code, **presented}, Idempotency_Key=key)


def test_lost_answer_is_repeated_without_a_further_use(service):
    link = service.api.create()
    code = invite(service.api, link, maxUses=1, role="moderator")["code"]
    first, again = (exchange(service, code, KEY, name="Ada") for _ in range(2))
    assert (first.status, again.status) == (200, 200)
    same = ("attendee", "name", "seat", "control")
    assert [again.json[name] for name in same] == [first.json[name] for name in same]
    assert come_in(service, code, seat=first.json["seat"])["attendee"] == first.json["attendee"]
    assert exchange(service, code, OTHER_KEY).problem == (404, "invitation_not_found")
    assert knock(service, code).problem == (404, "invitation_not_found")
    [invitation] = service.api("GET", f"/session/{link}/invitations").json
    assert invitation["uses"] == 1


def test_same_key_at_another_link_is_another_person(service):
    link = service.api.create()
    seats = [exchange(service, invite(service.api, link)["code"], KEY).json for _ in range(2)]
    assert seats[0]["seat"] != seats[1]["seat"]
    assert seats[0]["attendee"] != seats[1]["attendee"]


def test_same_exchange_at_once_is_one_person(service, monkeypatch):
    link = service.api.create()
    code = invite(service.api, link, maxUses=1)["code"]
    [provider], answers = services(service.app).providers, []
    issue = provider.issue_token

    def meanwhile(*arguments):
        monkeypatch.setattr(provider, "issue_token", issue)
        answers.append(exchange(service, code, KEY))
        return issue(*arguments)

    monkeypatch.setattr(provider, "issue_token", meanwhile)
    answers.append(exchange(service, code, KEY))
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].json["attendee"] == answers[1].json["attendee"]


@pytest.mark.parametrize("key", ["1", "order-7", "k" * 19, "k" * 256, "a,b" * 10, "k k" * 10])
def test_key_that_others_may_guess_is_refused(service, key):
    code = invite(service.api, service.api.create(), maxUses=1)["code"]
    assert exchange(service, code, key).problem == (400, "idempotency_key_invalid")
    come_in(service, code)


def test_link_without_a_bound_has_one_of_the_service(service):
    link = service.api.create()
    invitation = invite(service.api, link)
    seat = come_in(service, invitation["code"])["seat"]
    with service.app.app_context(), write() as session:
        session.execute(update(Invitation).values(uses=MOST_USES - 1))
    come_in(service, invitation["code"])
    assert knock(service, invitation["code"]).problem == (404, "invitation_not_found")
    come_in(service, invitation["code"], seat=seat)
    assert service.api("GET", f"/session/{link}/invitations/{invitation['id']}").json["maxUses"] is None
