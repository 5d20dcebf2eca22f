"""Each provider is asked who is connected as often as its webhooks need it: two providers of different patience."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from tests.integration.attendance.scripted import ScriptedProvider
from tests.support.service import plugins_with
from videoconf.api.services import services
from videoconf.db.functions import utc_in
from videoconf.db.transactions import write
from videoconf.meetings.models import Meeting

asked = []
"""The keys of the providers that were asked, one for each question."""


class Patient(ScriptedProvider):
    """Repeats a webhook for a day, so that once a minute is often enough."""

    def list_connections(self, session):
        asked.append(self.key)
        return super().list_connections(session)


class Hasty(Patient):
    """Repeats a webhook for ten seconds: what is lost then is found by the list alone."""

    key = "hasty"

    @property
    def account(self):
        return "hasty"

    @property
    def capabilities(self):
        return replace(super().capabilities, retry_horizon=timedelta(seconds=10))


@pytest.fixture
def app_options(clock, fake_settings, monkeypatch):
    for name, value in fake_settings.items():
        monkeypatch.setenv(name.replace("_FAKE_", "_HASTY_"), value)
    return {"clock": clock, "plugins": plugins_with(Patient, Hasty), "providers": ("fake", "hasty")}


@pytest.fixture
def run(app):
    """Run the job, and return which providers it asked."""

    def run():
        asked.clear()
        with app.app_context():
            services(app).jobs.run_now("reconcile_rosters")
        return sorted(asked)

    return run


def ask_before(app, seconds):
    """Let the latest question about each meeting be so long ago."""
    with app.app_context(), write() as session:
        session.execute(update(Meeting).values(roster_on=utc_in(-seconds)))


def test_job_runs_at_the_period_of_the_hastiest_provider(app):
    assert services(app).jobs.works["reconcile_rosters"].every_seconds == 30


def test_each_provider_is_asked_at_its_own_period(app, service, run):
    for provider in ("fake", "hasty"):
        service.api.token(service.api.create(provider=provider))
    assert run() == ["fake", "hasty"], "about a meeting that is new"
    assert run() == ["hasty"]
    ask_before(app, seconds=40)
    assert run() == ["hasty"], "a minute has not passed for the patient one"
    ask_before(app, seconds=50)
    assert run() == ["fake", "hasty"], "runs are not exactly on time"
