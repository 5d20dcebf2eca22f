"""What a real Janus does with the provider's rooms: across restarts, with wrong secrets, in a wrong configuration."""

import json

import pytest

from tests.plugins.janus.client import JanusClient, Refused
from tests.plugins.janus.conftest import issue
from tests.plugins.janus.server import JanusServer, needs_janus
from videoconf.errors import ProviderAuthFailed, ProviderConflict, ProviderRejected, ProviderUnavailable
from videoconf.providers import Secret, SessionRequest
from videoconf_janus.provider import JanusProvider

pytestmark = needs_janus

WRONG = Secret("another-secret-of-16-characters-or-more")


@pytest.fixture
def own(tmp_path):
    """Give a Janus of the test's own; its configuration may be changed before it starts."""
    server = JanusServer(tmp_path / "etc")
    yield server
    server.close()


@pytest.mark.parametrize("stop", [JanusServer.terminate, JanusServer.kill], ids=["TERM", "KILL"])
def test_room_outlives_a_restart(own, make_provider, stop):
    own.start()
    provider = make_provider(own)
    session = provider.ensure_session(SessionRequest("m1"))
    before = JanusClient.of(own.client_url, issue(provider, session))
    before.join()
    stop(own)
    with pytest.raises(ProviderUnavailable):
        provider.list_connections(session)

    own.start()
    assert provider.list_connections(session).connections == []
    assert provider.ensure_session(SessionRequest("m1")) == session
    after = before.again()
    after.join()
    assert [one.connection_id for one in provider.list_connections(session).connections] == [after.id]
    stranger = JanusClient.of(own.client_url, issue(provider, session))
    with pytest.raises(Refused, match="433"):
        stranger.join(token=None)
    provider.disconnect(session, after.id)
    assert provider.list_connections(session).connections == []


def test_ended_room_stays_gone_after_a_restart(own, make_provider):
    own.start()
    provider = make_provider(own)
    session = provider.ensure_session(SessionRequest("m1"))
    provider.end_session(session, [])
    own.kill()
    own.start()
    with pytest.raises(Refused, match="426"):
        JanusClient.of(own.client_url, issue(provider, session)).join()


def test_room_that_cannot_be_stored_is_reported(own, make_provider, caplog):
    own.start()
    file = own.folder / "janus.plugin.videoroom.jcfg"
    file.unlink()
    file.mkdir()  # which stops even root from writing the file
    make_provider(own).ensure_session(SessionRequest("m1"))
    assert "configuration writable" in caplog.text


def test_room_of_another_service_is_a_conflict(provider, make_provider, session):
    other = make_provider(room_key=WRONG)
    with pytest.raises(ProviderConflict):
        other.ensure_session(SessionRequest("m1"))
    for act in (lambda: other.disconnect(session, "x"), lambda: other.end_session(session, [])):
        with pytest.raises(ProviderConflict):
            act()
    other.end_session(other.ensure_session(SessionRequest("m2")), [])  # its credentials are good
    assert provider.ensure_session(SessionRequest("m1")) == session


def test_session_of_another_server_is_refused(provider, make_provider, session):
    other = make_provider(server_name="another")
    for act in (
        other.list_connections,
        lambda session: issue(other, session),
        lambda session: other.end_session(session, []),
    ):
        with pytest.raises(ProviderAuthFailed):
            act(session)


@pytest.mark.parametrize(("setting", "code"), [("admin_secret", "403"), ("admin_key", "433")])
@pytest.mark.parametrize("act", [JanusProvider.check, lambda one: one.ensure_session(SessionRequest("m2"))])
def test_wrong_secret_of_the_server_is_refused(make_provider, setting, code, act):
    with pytest.raises(ProviderAuthFailed) as raised:
        act(make_provider(**{setting: WRONG}))
    assert raised.value.provider_code == code


def test_wrong_token_secret_lets_no_client_in(make_provider, make_client, session):
    client = make_client(issue(make_provider(token_secret=WRONG), session))
    with pytest.raises(Refused, match="403"):
        client.join()


@pytest.mark.parametrize(
    ("file", "old", "new", "error"),
    [
        ("janus.jcfg", "token_auth = true", "token_auth = false", ProviderAuthFailed),
        ("janus.jcfg", "token_auth_secret =", "x_token_auth_secret =", ProviderAuthFailed),
        ("janus.jcfg", 'server_name = "', 'server_name = "x', ProviderAuthFailed),
        ("janus.jcfg", "broadcast = true", "broadcast = false", ProviderAuthFailed),
        ("janus.plugin.videoroom.jcfg", "string_ids = true", "string_ids = false", ProviderRejected),
        ("janus.jcfg", "libjanus_echotest.so", "libjanus_echotest.so,libjanus_videoroom.so", ProviderUnavailable),
    ],
    ids=["no tokens", "stored tokens", "other name", "no events", "integer ids", "no plugin"],
)
def test_check_refuses_a_wrong_configuration(own, make_provider, file, old, new, error):
    path = own.folder / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    own.start()
    with pytest.raises(error):
        make_provider(own).check()


def test_stored_rooms_name_no_secret_of_the_service(own, make_provider):
    own.start()
    make_provider(own).ensure_session(SessionRequest("m1"))
    stored = (own.folder / "janus.plugin.videoroom.jcfg").read_text()
    assert "m1" in stored
    assert own.settings().room_key.reveal() not in stored
    assert json.dumps(own.settings().admin_secret.reveal()) not in stored
