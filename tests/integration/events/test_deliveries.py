"""What is sent to a subscription: signed, retried by schedule, probed singly, disabled at last; and what is shown."""

from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text
from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.receiver import receiver
from videoconf.api.services import services
from videoconf.db.transactions import write
from videoconf.settings import Secret


@pytest.fixture
def app_options(app_options):
    keys = (Secret(Fernet.generate_key().decode()),)
    return {**app_options, "development": True, "encryption_keys": keys}


@pytest.fixture
def receiving():
    with receiver() as one:
        yield one


@pytest.fixture
def dispatch(service):
    """Project and send until nothing is due."""

    def run():
        service.project()
        with service.app.app_context():
            services(service.app).dispatcher.run()

    return run


def subscribe(api, url, **options):
    answer = api("POST", "/event-subscriptions", {"url": url, **options})
    assert answer.status == 201, answer
    return answer.json


def create(service):
    service.provider.session_id = f"s-{create.number}"
    create.number += 1
    return service.api.create()


create.number = 0


def deliveries(api, subscription, **query):
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    answer = api("GET", f"/event-subscriptions/{subscription['id']}/deliveries?{asked}")
    assert answer.status == 200, answer
    return answer.json


def read(api, subscription):
    return api("GET", f"/event-subscriptions/{subscription['id']}").json


def test_event_arrives_signed(service, dispatch, receiving, clock):
    clock.now = clock.now.now(clock.now.tzinfo)
    subscription = subscribe(service.api, receiving.url)
    link = create(service)
    dispatch()
    [event] = receiving.verified(subscription["secret"])
    assert event == service.api("GET", "/events?after=0").json["items"][-1]
    assert (event["type"], event["meetingLink"], event["data"]) == ("meeting.created", link, service.api.read(link))
    assert receiving.ids == [event["id"]]
    [delivery] = deliveries(service.api, subscription)
    assert (delivery["status"], delivery["attempts"][0]["status"]) == ("succeeded", 204)
    assert read(service.api, subscription)["position"] == event["position"]


def test_filter_of_types_and_meeting_decides(service, dispatch, receiving):
    link = create(service)
    service.project()
    subscribe(service.api, receiving.url, types=["meeting.ended"], meetingLink=link)
    other = create(service)
    for one in (link, other):
        assert service.api("PATCH", f"/session/{one}/end").status == 204
    dispatch()
    assert [(one["type"], one["meetingLink"]) for one in receiving.events] == [("meeting.ended", link)]


def test_failed_delivery_is_retried_by_schedule(service, dispatch, receiving, clock):
    subscription = subscribe(service.api, receiving.url)
    receiving.answer = (500, {}, b"sorry")
    create(service)
    dispatch()
    waits = (5, 60, 300, 1800, 7200, 21600, 43200, 86400, 86400)
    for number, seconds in enumerate(waits, start=1):
        clock.now += timedelta(seconds=seconds * 0.9)
        dispatch()
        assert len(receiving.ids) == number, "an attempt came before its time"
        clock.now += timedelta(seconds=seconds * 0.25)
        dispatch()
        assert len(receiving.ids) == number + 1
    assert len(set(receiving.ids)) == 1
    [delivery] = deliveries(service.api, subscription, status="failed")
    assert [one["body"] for one in delivery["attempts"]] == ["sorry"] * 10


def test_failing_subscription_is_probed_singly(service, dispatch, receiving, clock):
    subscription = subscribe(service.api, receiving.url)
    receiving.answer = (503, {}, b"")
    for _ in range(30):
        create(service)
    dispatch()
    first = len(receiving.ids)
    assert 1 <= first <= 4, "one failure must stop the turn"
    assert read(service.api, subscription)["failingSince"] is not None
    clock.now += timedelta(seconds=6)
    dispatch()
    assert len(receiving.ids) == first + 1
    receiving.answer = (200, {}, b"")
    clock.now += timedelta(seconds=70)
    dispatch()
    assert len(set(receiving.ids)) == 30
    assert read(service.api, subscription)["failingSince"] is None
    assert {one["status"] for one in deliveries(service.api, subscription, limit=100)} == {"succeeded"}


def test_one_refused_event_holds_up_no_other(service, dispatch, receiving, clock):
    subscription = subscribe(service.api, receiving.url)
    receiving.answer = (500, {}, b"")
    create(service)
    dispatch()
    receiving.answer = (204, {}, b"")
    create(service)
    clock.now += timedelta(seconds=6)
    dispatch()
    assert len(set(receiving.ids)) == 2
    assert deliveries(service.api, subscription, status="pending") == []


def test_five_days_of_failures_disable(service, dispatch, receiving, clock):
    subscription = subscribe(service.api, receiving.url)
    receiving.answer = (500, {}, b"")
    for _ in range(2):
        create(service)
    dispatch()
    for _ in range(16):
        clock.now += timedelta(hours=8)
        dispatch()
    found = read(service.api, subscription)
    assert (found["enabled"], "No delivery succeeded" in found["disabledReason"]) == (False, True)
    [entry] = service.api("GET", "/audit?action=event_subscription.disabled").json
    assert (entry["target"], entry["actorType"]) == (subscription["id"], "system")
    assert service.api("POST", f"/event-subscriptions/{subscription['id']}/test").problem == (
        409,
        "event_subscription_disabled",
    )
    receiving.answer = (204, {}, b"")
    assert service.api("PATCH", f"/event-subscriptions/{subscription['id']}", {"enabled": True}).status == 200
    create(service)
    dispatch()
    assert "meeting.created" in [one["type"] for one in receiving.events[-1:]]
    assert read(service.api, subscription)["failingSince"] is None


def test_410_disables_at_once(service, dispatch, receiving):
    subscription = subscribe(service.api, receiving.url)
    receiving.answer = (410, {}, b"")
    create(service)
    dispatch()
    found = read(service.api, subscription)
    assert (found["enabled"], found["disabledReason"]) == (False, "The receiver answered 410 Gone.")


def test_redirect_is_a_failure(service, dispatch, receiving):
    subscription = subscribe(service.api, receiving.url)
    receiving.answer = (307, {"Location": receiving.url + "?elsewhere"}, b"")
    create(service)
    dispatch()
    assert len(receiving.ids) == 1
    [delivery] = deliveries(service.api, subscription)
    assert (delivery["status"], delivery["attempts"][0]["status"]) == ("pending", 307)


def test_retry_after_lengthens_the_wait(service, dispatch, receiving, clock):
    subscribe(service.api, receiving.url)
    receiving.answer = (429, {"Retry-After": "600"}, b"")
    create(service)
    dispatch()
    clock.now += timedelta(seconds=590)
    dispatch()
    assert len(receiving.ids) == 1
    clock.now += timedelta(seconds=20)
    dispatch()
    assert len(receiving.ids) == 2


def test_rotated_secret_signs_beside_the_new_one(service, dispatch, receiving, clock):
    clock.now = clock.now.now(clock.now.tzinfo)
    subscription = subscribe(service.api, receiving.url)
    rotated = service.api("POST", f"/event-subscriptions/{subscription['id']}/rotate-secret").json["secret"]
    create(service)
    dispatch()
    for secret in (subscription["secret"], rotated):
        assert len(receiving.verified(secret)) == 1
    clock.now += timedelta(hours=25)
    create(service)
    dispatch()
    _, headers, body = receiving.requests[-1]
    assert headers["webhook-signature"].count("v1,") == 1
    with pytest.raises(WebhookVerificationError):
        Webhook(subscription["secret"]).verify(body, headers)


def test_ping_is_sent_and_shown(service, dispatch, receiving):
    subscription = subscribe(service.api, receiving.url)
    answer = service.api("POST", f"/event-subscriptions/{subscription['id']}/test")
    assert (answer.status, answer.json["status"], answer.json["type"]) == (202, "pending", "ping")
    dispatch()
    [event] = receiving.events
    assert (event["type"], event["id"]) == ("ping", answer.json["eventId"])
    assert event["data"] == {"subscriptionId": subscription["id"]}
    [delivery] = deliveries(service.api, subscription)
    assert delivery["status"] == "succeeded"
    assert "ping" not in [one["type"] for one in service.api("GET", "/events?after=0").json["items"]]


def test_replay_sends_the_same_ids_again(service, dispatch, receiving):
    subscription = subscribe(service.api, receiving.url)
    for _ in range(3):
        create(service)
    dispatch()
    first = min(receiving.events, key=lambda one: one["position"])
    answer = service.api("POST", f"/event-subscriptions/{subscription['id']}/replay", {"after": first["position"]})
    assert answer.status == 202
    dispatch()
    assert sorted(receiving.ids[3:]) == sorted(set(receiving.ids[:3]) - {first["id"]})
    beyond = service.api("POST", f"/event-subscriptions/{subscription['id']}/replay", {"after": 10**12})
    assert beyond.wrong == ["after"]


def test_delivery_is_sent_again_on_demand(service, dispatch, receiving, clock):
    subscription = subscribe(service.api, receiving.url)
    create(service)
    dispatch()
    [delivery] = deliveries(service.api, subscription)
    path = f"/event-subscriptions/{subscription['id']}/deliveries"
    assert service.api("POST", f"{path}/{delivery['id']}/retry").status == 202
    dispatch()
    assert len(receiving.ids) == 2
    assert len(set(receiving.ids)) == 1
    for unknown in ("0", "999999", "x"):
        assert service.api("POST", f"{path}/{unknown}/retry").problem == (404, "event_delivery_not_found")


def test_long_answer_is_cut(service, dispatch, receiving):
    subscription = subscribe(service.api, receiving.url)
    receiving.answer = (400, {}, b"\x00\xff" + b"a" * 200_000)
    create(service)
    dispatch()
    [delivery] = deliveries(service.api, subscription)
    body = delivery["attempts"][0]["body"]
    assert len(body) == 1024
    assert body.startswith("\ufffd\ufffdaaa")


def test_a_tenant_has_at_most_20_subscriptions(service, receiving):
    for _ in range(20):
        subscribe(service.api, receiving.url)
    answer = service.api("POST", "/event-subscriptions", {"url": receiving.url})
    assert answer.problem == (409, "event_subscription_limit")
    subscribe(service.caller_with(tenant="other"), receiving.url)


def test_tenants_do_not_see_each_others_subscriptions(service, dispatch, receiving):
    mine = subscribe(service.api, receiving.url)
    other = service.caller_with(tenant="other")
    service.provider.session_id = "s-other"
    link = other.create()
    dispatch()
    assert receiving.events == []
    path = f"/event-subscriptions/{mine['id']}"
    for method, where, body in (
        ("GET", "", None),
        ("PATCH", "", {"enabled": False}),
        ("DELETE", "", None),
        ("POST", "/rotate-secret", None),
        ("POST", "/test", None),
        ("POST", "/replay", {"after": 0}),
        ("GET", "/deliveries", None),
        ("POST", "/deliveries/1/retry", None),
    ):
        assert other(method, path + where, body).problem == (404, "event_subscription_not_found")
    assert other("GET", "/event-subscriptions").json == []
    assert [one["meetingLink"] for one in other("GET", "/events").json["items"]] == [link]
    assert service.api("GET", f"/events?meetingLink={link}").json["items"] == []


def test_outcome_that_is_lost_leads_to_the_same_id(service, dispatch, receiving):
    """A worker that dies or stalls during the post loses its lease, and the next one sends the event again."""
    subscription = subscribe(service.api, receiving.url)
    create(service)

    def lose_lease():
        receiving.on_request = lambda: None
        with service.app.app_context(), write() as session:
            lost = "UPDATE event_subscription SET lease_owner = 'other', lease_until = '2001-01-01 00:00:00+00:00'"
            session.execute(text(lost))

    receiving.on_request = lose_lease
    dispatch()
    assert len(receiving.ids) == 2
    assert len(set(receiving.ids)) == 1
    [delivery] = deliveries(service.api, subscription)
    assert (delivery["status"], len(delivery["attempts"])) == ("succeeded", 1)


def test_lease_keeps_other_workers_away(service, dispatch, receiving):
    subscribe(service.api, receiving.url)
    create(service)
    service.project()

    def serve_too():
        receiving.on_request = lambda: None
        with service.app.app_context():
            services(service.app).dispatcher.run()

    receiving.on_request = serve_too
    dispatch()
    assert len(receiving.ids) == 1
