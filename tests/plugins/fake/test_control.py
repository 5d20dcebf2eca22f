import json

import pytest
from werkzeug import Response

from videoconf.providers import ArchiveRequest, SessionRequest
from videoconf_fake.control import FakeControl


@pytest.fixture
def receiver(httpserver):
    return httpserver


@pytest.fixture
def http_control(make_provider, receiver):
    return FakeControl(make_provider(webhook_url=f"http://127.0.0.1:{receiver.port}/video/"))


@pytest.fixture
def room(http_control, make_provider):
    provider = http_control.provider
    session = provider.ensure_session(SessionRequest("m"))
    http_control.join_anonymously(session.session_id)
    provider.start_archive(session, ArchiveRequest())
    return session


def test_delivery_has_the_signed_body_and_its_channel(http_control, receiver, room, clock, webhook):
    receiver.expect_request("/video/webhooks/fake/session", method="POST").respond_with_response(Response(status=204))
    receiver.expect_request("/video/webhooks/fake/archive", method="POST").respond_with_response(Response(status=200))
    deliveries = [http_control.signed(event) for event in http_control.list_events()]
    result = http_control.deliver()
    assert (result.delivered, result.waiting, result.problem) == (2, 0, None)
    assert [request.get_data() for request, _ in receiver.log] == [delivery.body for delivery in deliveries]
    for request, _ in receiver.log:
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = webhook(deliveries[0], clock(), body=request.get_data(), headers=headers)
        http_control.provider.verify_webhook(received)
    assert http_control.deliver().delivered == 0
    assert len(receiver.log) == 2


def test_refused_webhook_waits_and_delays_no_other(http_control, receiver, room):
    session_channel = "/video/webhooks/fake/session"
    receiver.expect_oneshot_request(session_channel).respond_with_response(Response(status=503))
    receiver.expect_request("/video/webhooks/fake/archive").respond_with_response(Response(status=204))
    first = http_control.deliver()
    assert (first.delivered, first.waiting) == (1, 1)
    assert first.problem.endswith("answered 503")
    receiver.expect_request(session_channel).respond_with_response(Response(status=204))
    second = http_control.deliver()
    assert (second.delivered, second.waiting, second.problem) == (1, 0, None)


def test_a_redirect_is_not_followed(http_control, receiver, room):
    elsewhere = Response(status=307, headers={"location": "/elsewhere"})
    receiver.expect_request("/elsewhere").respond_with_response(Response(status=204))
    for channel in ("session", "archive"):
        receiver.expect_request(f"/video/webhooks/fake/{channel}").respond_with_response(elsewhere)
    result = http_control.deliver()
    assert (result.delivered, result.waiting) == (0, 2)
    assert result.problem.endswith("answered 307")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://127.0.0.1:99999", "http://["])
def test_all_webhooks_wait_without_a_receiver(make_provider, url):
    control = FakeControl(make_provider(webhook_url=url))
    session = control.provider.ensure_session(SessionRequest("m"))
    for _ in range(3):
        control.join_anonymously(session.session_id)
    result = control.deliver()
    assert (result.delivered, result.waiting) == (0, 3)
    assert "does not answer" in result.problem


def test_unreachable_receiver_is_tried_once(control, session):
    tried = []

    def post(delivery):
        tried.append(delivery)
        raise ConnectionError

    for _ in range(3):
        control.join_anonymously(session.session_id)
    control.deliver(post)
    assert len(tried) == 1


def test_deliveries_may_be_shuffled_and_doubled(provider, control, session, connection, clock, webhook):
    control.leave(connection)
    joined, left = (control.signed(event) for event in control.list_events())
    keys = []
    for delivery in (left, joined, left):
        request = webhook(delivery, clock())
        provider.verify_webhook(request)
        keys += [event.dedupe_key for event in provider.parse_webhook(request)]
    assert keys == [left.event_id, joined.event_id, left.event_id]
    assert keys[0] != keys[1]


def test_next_command_delivers_events_of_the_service(make_provider, tmp_path, token_for):
    path = str(tmp_path / "fake.db")
    served, command = make_provider(state=path), FakeControl(make_provider(state=path))
    session = served.ensure_session(SessionRequest("m"))
    connection = command.join(token_for(served, session))
    command.deliver(lambda delivery: 204)
    served.end_session(session, [])
    posted = []
    command.deliver(lambda delivery: posted.append(json.loads(delivery.body)) or 204)
    assert [(one["type"], one["connection"]["id"], one["reason"]) for one in posted] == [
        ("connection.destroyed", connection, "forced")
    ]


def a_day(provider, clock, token_for):
    """Do a bit of everything, and return everything that leaves the vendor."""
    control = FakeControl(provider)
    session = provider.ensure_session(SessionRequest("m", archiving=True, options={"region": "eu"}))
    tokens = [token_for(provider, session, name, data="ü") for name in ("ann", None)]
    ann, data = (control.join(token) for token in tokens)
    control.publish(ann)
    clock.step(seconds=7)
    provider.mute(session, None, {})
    control.drop(data)
    control.leave(ann)
    provider.stop_archive(session, provider.list_archives(session)[0].archive_id)
    control.close_session(session.session_id)
    control.join(tokens[0])
    provider.end_session(session, [])
    return [session, *tokens, ann, data, *(control.signed(event) for event in control.list_events())]


def test_the_same_seed_clock_and_calls_give_the_same_bytes(make_provider, clock, tmp_path, token_for):
    start = clock.now
    days = []
    for settings in ({}, {}, {"state": str(tmp_path / "fake.db")}, {"seed": 2}):
        clock.now = start
        days.append(a_day(make_provider(**settings), clock, token_for))
    assert days[0] == days[1] == days[2]
    assert all(one != other for one, other in zip(days[0], days[3], strict=True))


def test_a_new_state_repeats_no_id_at_another_time(make_provider, clock, token_for):
    """The service may outlive the state: it would take a repeated id for a repeated event and drop it."""
    ids = []
    for _ in range(2):
        control = FakeControl(make_provider())
        session = control.provider.ensure_session(SessionRequest("m"))
        ids += [control.join_anonymously(session.session_id)]
        ids += [event.event_id for event in control.list_events()]
        clock.step(microseconds=1)
    assert len(set(ids)) == 4
