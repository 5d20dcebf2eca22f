import json
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner
from werkzeug import Response

import videoconf_fake
from videoconf.errors import ConfigurationError, ProviderNotFound
from videoconf.providers import SessionRequest
from videoconf_fake.commands import fake


@pytest.fixture
def receiver(httpserver):
    for channel in ("session", "archive"):
        httpserver.expect_request(f"/webhooks/fake/{channel}").respond_with_response(Response(status=204))
    return httpserver


@pytest.fixture
def provider(make_provider, tmp_path, receiver):
    return make_provider(state=str(tmp_path / "fake.db"), webhook_url=f"http://127.0.0.1:{receiver.port}")


@pytest.fixture
def run():
    """Runs a command as the core does, below a group that names the provider."""

    def run(get_provider, *arguments):
        @click.group()
        @click.pass_context
        def core(context):
            if get_provider:
                context.meta["videoconf.provider"] = get_provider

        core.add_command(fake)
        return CliRunner().invoke(core, ["fake", *arguments])

    return run


@pytest.fixture
def flask(run, provider):
    return lambda *arguments: run({"fake": provider}.__getitem__, *arguments)


@pytest.fixture
def connection(flask, session):
    return json.loads(flask("join", "--session", session.session_id, "--json").stdout)["connection"]


@pytest.fixture
def session(provider):
    return provider.ensure_session(SessionRequest("m", archiving=True))


def test_a_person_comes_and_goes(flask, provider, session, receiver, token_for):
    joined = flask("join", token_for(provider, session))
    (one,) = provider.list_connections(session).connections
    assert joined.stdout == f"Connection {one.connection_id} joined.\nWebhooks delivered: 2, waiting: 0.\n"
    assert (one.attendee, len(receiver.log)) == ("ann", 2)
    assert flask("leave", one.connection_id).stdout.startswith(f"Connection {one.connection_id} left.")
    assert json.loads(receiver.log[-1][0].get_data())["reason"] == "left"
    assert provider.list_connections(session).connections == []


@pytest.mark.parametrize(
    ("command", "type"),
    [
        (["drop"], "connection.destroyed"),
        (["leave", "--reason", "bored"], "connection.destroyed"),
        (["publish", "--stream", "screen"], "stream.created"),
    ],
)
def test_a_connection_does_something(flask, receiver, connection, command, type):
    result = flask(*command, connection, "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert (report["delivered"], report["waiting"], report["problem"]) == (1, 0, None)
    assert json.loads(receiver.log[-1][0].get_data())["type"] == type


def test_a_stream_is_stopped(flask, receiver, connection):
    assert flask("publish", connection).exit_code == 0
    assert flask("unpublish", connection).exit_code == 0
    assert json.loads(receiver.log[-1][0].get_data())["type"] == "stream.destroyed"


def test_a_session_is_closed_and_its_archive_moved_on(flask, provider, session, connection, receiver):
    assert flask("close", session.session_id).exit_code == 0
    (archive,) = provider.list_archives(session)
    assert flask("archive", archive.archive_id, "available").exit_code == 0
    assert json.loads(receiver.log[-1][0].get_data())["archive"]["status"] == "available"
    refused = flask("archive", archive.archive_id, "started")
    assert (refused.exit_code, refused.stderr) == (
        1,
        "Error: An archive that is available does not become started.\n",
    )


def test_the_list_shows_all_but_credentials(flask, provider, session, connection):
    provider.ensure_session(SessionRequest("other"))
    provider.apply_storage("s3", {"secret_key": "very-private"})
    (archive,) = provider.list_archives(session)
    text = flask("list").stdout
    assert f"connection {connection} of an anonymous participant" in text
    assert f"archive {archive.archive_id} is started" in text
    listed = json.loads(flask("list", session.session_id, "--json").stdout)
    assert listed == {
        "sessions": [
            {
                "session": session.session_id,
                "connections": [{"connection": connection, "attendee": None, "name": None}],
                "archives": [{"archive": archive.archive_id, "status": "started"}],
            }
        ],
        "waiting": 0,
    }
    assert len(json.loads(flask("list", "--json").stdout)["sessions"]) == 2
    assert "very-private" not in text + flask("list", "--json").stdout


def test_webhooks_that_the_service_refused_come_later(flask, session, receiver, token_for, provider):
    receiver.clear()
    receiver.expect_request("/webhooks/fake/session").respond_with_response(Response(status=503))
    joined = flask("join", "--session", session.session_id)
    assert joined.exit_code == 0, "the join itself worked"
    assert "waiting: 2 (http" in joined.stdout
    assert flask("deliver").exit_code == 1
    receiver.clear()
    for channel in ("session", "archive"):
        receiver.expect_request(f"/webhooks/fake/{channel}").respond_with_response(Response(status=200))
    assert flask("deliver").stdout == "Webhooks delivered: 2, waiting: 0.\n"
    assert flask("deliver", "--json").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["join", "nonsense"], "This is not a join token of the fake provider."),
        (["join", "--session", "fs_unknown"], "The fake provider has no such session."),
        (["leave", "fc_unknown"], "No connection has this id."),
        (["close", "fs_unknown"], "The fake provider has no such session."),
        (["archive", "fa_unknown", "stopped"], "The fake provider has no such archive."),
    ],
)
def test_refusal_is_one_sentence(flask, arguments, sentence):
    result = flask(*arguments)
    assert (result.exit_code, result.stderr, result.stdout) == (1, f"Error: {sentence}\n", "")


@pytest.mark.parametrize("arguments", [["join"], ["join", "t", "--session", "s"], ["archive", "a", "no"], ["leave"]])
def test_wrong_usage_exits_with_2(flask, arguments):
    assert flask(*arguments).exit_code == 2


@pytest.mark.parametrize("arguments", [["join", "t"], ["list"], ["deliver"], ["drop", "c"]])
def test_command_cannot_reach_state_in_memory(run, make_provider, arguments):
    provider = make_provider()
    result = run({"fake": provider}.__getitem__, *arguments)
    assert result.exit_code == 1
    assert "VIDEOCONF_FAKE_STATE is not set" in result.stderr


def test_error_of_the_core_is_one_sentence(run):
    def fail(error):
        def get_provider(key):
            raise error

        return get_provider

    assert "videoconf.app videoconf fake" in run(None, "list").stderr
    assert "No enabled provider has this key" in run(fail(ProviderNotFound()), "list").stderr
    assert "set the secret" in run(fail(ConfigurationError("set the secret")), "list").stderr


def test_the_plugin_imports_nothing_before_a_hook_is_called():
    code = (
        "import sys, videoconf_fake; assert not [m for m in sys.modules if m.startswith('videoconf_fake.')]\n"
        "(group,) = videoconf_fake.videoconf_cli(); assert group.name == 'fake'\n"
        "assert not {'videoconf_fake.control', 'videoconf_fake.state', 'standardwebhooks', 'jwt'} & set(sys.modules)"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env=environment)


def test_the_hooks_bring_the_provider():
    (cls,) = videoconf_fake.videoconf_providers()
    assert cls.key == "fake"
