"""The documented calls, made by a real client: Node's own fetch."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.support.service import service_at
from tests.support.settings import FAKE_SETTINGS

SCRIPT = Path(__file__).with_name("documented_calls.mjs")
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="needs node, version 18 or newer, on the PATH")

PERMISSIONS = (
    "CreateMeetingSession",
    "GenerateMeetingToken",
    "GetMeetingAttendees",
    "EditMeeting",
    "StopMeeting",
    "GetMeetingArchives",
    "DeleteMeetingArchive",
    "SetMeetingUploadTarget",
)
OPERATIONS = {
    "getMeetingLink",
    "getMeetingToken",
    "checkWebhookPayload",
    "getAttendeesList",
    "editMeeting",
    "endSession",
    "getArchives",
    "getArchive",
    "deleteArchive",
    "setUploadTarget",
}
ENCRYPTION = {"VIDEOCONF_ENCRYPTION_KEYS": Fernet.generate_key().decode()}


def make_calls(url: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    variables = {
        "PATH": os.environ["PATH"],
        "BASE_URL": url,
        "WEBHOOK_SECRET": FAKE_SETTINGS["VIDEOCONF_FAKE_WEBHOOK_SECRETS"],
        "TARGET": json.dumps({"name": "MEMORY", "area": "documented", "password": "any"}),
        **environment,
    }
    return subprocess.run([NODE, str(SCRIPT)], env=variables, capture_output=True, text=True, timeout=60, check=False)


def test_each_call_answers_as_documented(gunicorn_server, tmp_path, headers):
    server = gunicorn_server(**ENCRYPTION)
    tokens = {name: headers([name])["Authorization"].removeprefix("Bearer ") for name in PERMISSIONS}
    done = make_calls(server.url, TOKENS=json.dumps(tokens))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert set(said["answered"]) == OPERATIONS

    with service_at(server.url, tmp_path / "fake.sqlite", headers) as service:
        meeting = service.api.read(said["link"])
        assert (meeting["isScheduled"], meeting["extId"], meeting["extMetadata"]) == (True, "string", {})
        assert (meeting["deleted"], meeting["isArchived"], meeting["archiveId"]) == (False, False, None)
        assert meeting["status"] == "ended"


def test_each_call_works_without_a_token_if_auth_is_disabled(gunicorn_server):
    server = gunicorn_server(
        VIDEOCONF_AUTH="disabled", VIDEOCONF_DEVELOPMENT="true", VIDEOCONF_JWT_SECRETS=None, **ENCRYPTION
    )
    done = make_calls(server.url)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["answered"]) == OPERATIONS


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_calls_fail_where_documented(gunicorn_server, headers):
    """Proves that the script looks at the answers."""
    server = gunicorn_server()
    assert "getMeetingLink: 401" in make_calls(server.url).stderr
    tokens = {name: headers(["CreateMeetingSession"])["Authorization"].removeprefix("Bearer ") for name in PERMISSIONS}
    refused = make_calls(server.url, TOKENS=json.dumps(tokens))
    assert refused.returncode != 0
    assert "getMeetingToken: 403" in refused.stderr
