"""``videoconf events`` and ``videoconf deliveries``: what an operator and a developer see."""

import json

import pytest
from click.testing import CliRunner
from cryptography.fernet import Fernet
from flask.cli import ScriptInfo

from tests.support.receiver import receiver
from tests.support.service import ON_SQLITE
from videoconf.api.services import services
from videoconf.cli.main import commands
from videoconf.settings import Secret

pytestmark = ON_SQLITE


@pytest.fixture
def app_options():
    return {"development": True, "encryption_keys": (Secret(Fernet.generate_key().decode()),)}


@pytest.fixture
def run(app):
    def run(*arguments):
        return CliRunner().invoke(commands, arguments, obj=ScriptInfo(create_app=lambda: app))

    return run


def test_tail_prints_events_as_json(service, run):
    link = service.api.create()
    service.api("PATCH", f"/session/{link}/end")
    service.project()
    lines = run("events", "tail", "--after", "0", "--until-idle").output.splitlines()
    assert [json.loads(line) for line in lines] == service.api("GET", "/events").json["items"]
    ended = run("events", "tail", "--after", "0", "--until-idle", "--type", "meeting.ended", "--meeting", link).output
    assert [json.loads(line)["type"] for line in ended.splitlines()] == ["meeting.ended"]
    assert run("events", "tail", "--after", "0", "--until-idle", "--tenant", "other").output == ""
    assert "newest position" in run("events", "tail", "--after", "999999", "--until-idle").output


def test_listen_forwards_signed(service, run):
    link = service.api.create()
    service.project()
    with receiver() as one:
        result = run("events", "listen", "--forward-to", one.url, "--after", "0", "--until-idle")
        secret = result.stderr.split("Secret: ")[1].splitlines()[0]
        [event] = one.verified(secret)
    assert event["meetingLink"] == link
    assert result.stdout.split("\t") == [str(event["position"]), "meeting.created", event["id"], "204\n"]
    gone = run("events", "listen", "--forward-to", one.url, "--after", "0", "--until-idle")
    assert gone.exit_code == 0
    assert run("events", "listen", "--forward-to", "nowhere").exit_code == 2


def test_deliveries_are_listed_and_retried(service, run):
    with receiver() as one:
        one.answer = (500, {}, b"sorry")
        subscription = service.api("POST", "/event-subscriptions", {"url": one.url}).json["id"]
        service.api.create()
        service.project()
        with service.app.app_context():
            services(service.app).dispatcher.run()
        [delivery] = json.loads(run("deliveries", "list", subscription, "--json").output)
        assert delivery["attempts"][0]["body"] == "sorry"
        row = run("deliveries", "list", subscription, "--status", "pending").output.split("\t")
        assert (row[0], row[3], row[5]) == (str(delivery["id"]), "pending", "500\n")
        one.answer = (204, {}, b"")
        assert run("deliveries", "retry", subscription, str(delivery["id"])).output == f"{delivery['id']}: due now\n"
        with service.app.app_context():
            services(service.app).dispatcher.run()
    assert len(set(one.ids)) == 1
    assert json.loads(run("deliveries", "list", subscription, "--json").output)[0]["status"] == "succeeded"
    assert run("deliveries", "retry", subscription, "99").exit_code == 1
    assert run("deliveries", "list", "esub_unknown").exit_code == 1
