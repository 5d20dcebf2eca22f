"""Installed and not configured: it does not serve and says what is missing, and what needs no provider works."""

import os
import subprocess
import sys
from pathlib import Path

import jwt
import pytest

from tests.support.settings import JWT_SECRET

ROOT = Path(__file__).parents[2]
PROVIDER_SETTINGS = (
    "VIDEOCONF_VONAGE_API_KEY",
    "VIDEOCONF_VONAGE_API_SECRET",
    "VIDEOCONF_VONAGE_APPLICATION_ID",
    "VIDEOCONF_VONAGE_PRIVATE_KEY",
)
ON_SQLITE = pytest.mark.parametrize("empty_database_url", ["sqlite"], indirect=True)
"""For commands that ask no database."""


@pytest.fixture
def run(empty_database_url):
    """Give a function that runs a module where the database is configured, and no provider is."""

    def run(*command, **environment):
        variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith("VIDEOCONF_")},
            "VIDEOCONF_DATABASE_URL": empty_database_url,
            "VIDEOCONF_JWT_SECRETS": JWT_SECRET,
            **environment,
        }
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env={name: value for name, value in variables.items() if value is not None},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


SERVERS = {
    "gunicorn": ("gunicorn", "--bind=127.0.0.1:0", "--workers=1", "--no-control-socket", "wsgi:app"),
    "flask run": ("flask", "--app", "wsgi", "run", "--port=0"),
}


@ON_SQLITE
@pytest.mark.parametrize("server", SERVERS)
def test_serving_is_refused_and_the_settings_are_named(run, server):
    refused = run(*SERVERS[server])
    assert refused.returncode != 0
    said = refused.stdout + refused.stderr
    for name in PROVIDER_SETTINGS:
        assert name in said
    assert "VIDEOCONF_PROVIDERS=fake" in said, "the way to try it without an account"
    assert "Traceback" not in said


@ON_SQLITE
@pytest.mark.parametrize("server", SERVERS)
def test_all_missing_settings_are_reported_at_once(run, server):
    refused = run(*SERVERS[server], VIDEOCONF_JWT_SECRETS=None, VIDEOCONF_PROVIDER="fake")
    assert refused.returncode != 0
    said = refused.stdout + refused.stderr
    for expected in ("VIDEOCONF_VONAGE_API_KEY", "VIDEOCONF_JWT_SECRETS", "VIDEOCONF_PROVIDER is not a setting"):
        assert expected in said
    assert "Traceback" not in said


WRONG = {
    "VIDEOCONF_DATABASE_URL": "mysql://me:tops3cret@localhost/x",
    "VIDEOCONF_PATH_PREFIX": "video",
    "VIDEOCONF_RATE_LIMIT_ADDRESS": "lots",
}


@ON_SQLITE
@pytest.mark.parametrize("server", SERVERS)
def test_settings_that_cannot_be_used_are_named(run, server):
    refused = run(*SERVERS[server], **WRONG)
    assert refused.returncode == 3
    said = refused.stdout + refused.stderr
    for name in WRONG:
        assert name in said
    assert "VIDEOCONF_VONAGE_API_KEY" in said, "with all else that is wrong"
    assert "tops3cret" not in said
    assert "Traceback" not in said


@ON_SQLITE
def test_command_of_an_extension_reports_the_setting_too(run):
    refused = run("flask", "--app", "videoconf.app", "db", "upgrade", VIDEOCONF_DATABASE_URL="foo")
    assert refused.returncode == 3
    assert "VIDEOCONF_DATABASE_URL" in refused.stderr
    assert "Traceback" not in refused.stderr


@ON_SQLITE
def test_a_secret_is_never_repeated(run):
    refused = run(
        *SERVERS["gunicorn"], VIDEOCONF_JWT_SECRETS="sh0rt-tops3cret", VIDEOCONF_VONAGE_API_SECRET="tops3cret"
    )
    assert refused.returncode != 0
    assert "tops3cret" not in refused.stdout + refused.stderr


def test_unconfigured_service_can_upgrade_its_database(run):
    upgraded = run("flask", "--app", "wsgi", "db", "upgrade")
    assert upgraded.returncode == 0, upgraded.stderr
    current = run("flask", "--app", "wsgi", "db", "current")
    assert "(head)" in current.stdout


@ON_SQLITE
def test_unconfigured_service_can_mint_a_token(run):
    minted = run("flask", "--app", "wsgi", "videoconf", "token", "--permission", "GetMeetings", "--subject", "me")
    assert minted.returncode == 0, minted.stderr
    claims = jwt.decode(minted.stdout.strip(), JWT_SECRET, algorithms=["HS256"], audience="videoconf")
    assert (claims["sub"], claims["permissions"], claims["iss"]) == ("me", ["GetMeetings"], "videoconf")


@ON_SQLITE
def test_worker_without_a_provider_names_its_settings(run):
    refused = run("flask", "--app", "wsgi", "videoconf", "worker", "--once")
    assert refused.returncode == 3
    assert "VIDEOCONF_VONAGE_API_KEY" in refused.stderr
    assert "Traceback" not in refused.stderr
