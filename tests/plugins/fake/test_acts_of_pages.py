"""What pages may do at the fake provider's own server: those of the service take part, others do nothing."""

import json
import threading
import urllib.error
import urllib.request

import pytest

from videoconf.providers import SessionRequest
from videoconf_fake.control import FakeControl
from videoconf_fake.live import Acts
from videoconf_fake.media_server import MediaServer

SERVICE = "http://127.0.0.1:8000"


@pytest.fixture
def people(make_provider, token_for):
    """Give a function that asks the server to do something, and a token to join with."""
    provider = make_provider(webhook_url=f"{SERVICE}/video")
    session = provider.ensure_session(SessionRequest("m1"))
    server = MediaServer(provider, acts=Acts(FakeControl(provider)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def ask(act, origin=None, **body):
        url = f"http://127.0.0.1:{server.server_port}/fake/{act}"
        request = urllib.request.Request(url, json.dumps(body).encode(), {"Origin": origin} if origin else {})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.headers["Access-Control-Allow-Origin"], json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, error.headers["Access-Control-Allow-Origin"], None

    yield ask, token_for(provider, session)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("origin", [SERVICE, "http://localhost:8000"])
def test_page_of_the_service_takes_part(people, origin):
    ask, token = people
    status, allowed, joined = ask("join", origin, token=token)
    assert (status, allowed) == (200, origin)
    connection = joined["connection"]
    assert ask("publish", origin, connection=connection, stream="camera")[0] == 200
    status, _, seen = ask("look", origin, connection=connection)
    assert (status, seen["reason"]) == (200, None)
    assert seen["people"] == [{"connection": connection, "name": None, "streams": ["camera"]}]
    assert ask("leave", origin, connection=connection)[0] == 200
    assert ask("look", origin, connection=connection)[2] == {"reason": "left", "people": []}


@pytest.mark.parametrize(
    "origin",
    ["https://elsewhere.example", "http://127.0.0.1:8001", "http://127.0.0.1", "https://127.0.0.1:8000", "null"],
)
def test_page_of_another_origin_does_nothing(people, origin):
    ask, token = people
    assert ask("join", origin, token=token)[:2] == (403, None)


@pytest.mark.parametrize(
    ("act", "body"),
    [
        ("drop", {"connection": "fc_1"}),
        ("close", {"session": "fs_1"}),
        ("record", {"session": "fs_1"}),
        ("archive", {"archive": "fa_1", "status": "deleted"}),
    ],
)
def test_page_of_the_service_acts_for_no_operator(people, act, body):
    ask, _ = people
    assert ask(act, SERVICE, **body)[0] == 403
    assert ask(act, **body)[0] != 403, "a command may"


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda control, session, connection: control.drop(connection), "network"),
        (lambda control, session, connection: control.provider.rooms.disconnect(session, connection), "forced"),
        (lambda control, session, connection: control.provider.rooms.end(session), "ended"),
        (lambda control, session, connection: control.close_session(session), "ended"),
    ],
    ids=["drop", "disconnect", "end", "close"],
)
def test_client_sees_why_its_connection_ended(make_provider, token_for, end, reason):
    provider = make_provider()
    session = provider.ensure_session(SessionRequest("m1"))
    control = FakeControl(provider)
    connection = control.join(token_for(provider, session))
    assert control.look(connection).reason is None
    end(control, session.session_id, connection)
    assert control.look(connection).reason == reason
