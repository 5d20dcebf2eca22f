"""``make fuzz``: Schemathesis over the served OpenAPI document, as two tenants, within a bounded time.

Every check, in every phase: examples, boundary values, generated requests, and sequences in which an operation takes
the ids that another one gave. The first tenant has meetings, people and archives to work on, which the second one tries
to reach. Fails on any finding, and on any trace in the server's log. ``FUZZ_SECONDS`` is for each tenant;
what is generated follows from ``FUZZ_SEED``, so that a change is not blamed for what another number would have found.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet

from tests.support.servers import start_gunicorn
from tests.support.service import Service, service_at
from tests.support.settings import FAKE_SETTINGS, JWT_SECRET
from videoconf.api.keys import mint_token
from videoconf.api.permissions import Permission
from videoconf.events.waiting import LONGEST_SECONDS
from videoconf.settings import Secret, Settings

ROOT = Path(__file__).parents[1]
SECONDS = int(os.environ.get("FUZZ_SECONDS", "60"))
SEED = os.environ.get("FUZZ_SEED", "20261121")
MEETINGS = 20
REQUEST_SECONDS = LONGEST_SECONDS + 10
"""No request takes longer: a bucket that does not answer is given up before."""
OVERTIME_SECONDS = 180
"""What a run may take beyond its time: it ends what it has begun."""

CONFIG = """
[dictionaries]
meetings = {{ values = {meetings} }}
connections = {{ values = {connections} }}
archives = {{ values = {archives} }}
invitations = {{ values = {invitations} }}
lobby = {{ values = {lobby} }}
bans = {{ values = {bans} }}
# A log without news holds its answer for as long as it is asked to.
waits = {{ values = [0, 1] }}

[parameters]
"path.meetingLinkId" = {{ dictionary = "meetings", probability = 0.5 }}
"path.connectionId" = {{ dictionary = "connections", probability = 0.5 }}
"path.archiveId" = {{ dictionary = "archives", probability = 0.5 }}
"path.invitationId" = {{ dictionary = "invitations", probability = 0.5 }}
"path.lobbyId" = {{ dictionary = "lobby", probability = 0.5 }}
"path.banId" = {{ dictionary = "bans", probability = 0.5 }}
"query.wait" = {{ dictionary = "waits", probability = 0.95 }}

# What a schema cannot state is refused too: a time that has passed, two rules of which one is wanted, a host that is
# not allowed; a NUL, where an object may hold anything.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 401, 403, 404, 409, 422]

# A bucket that a request makes up does not answer, which is 504 as documented.
[[operations]]
include-operation-id = "VideoChatArchiveController.setUploadTarget"
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 409, 422, 504]
[operations.checks.not_a_server_error]
expected-statuses = ["2xx", "4xx", 504]
"""


def bearer(tenant: str) -> dict[str, str]:
    token = mint_token(
        Settings(jwt_secrets=(Secret(JWT_SECRET),)),
        subject="fuzz",
        permissions=list(Permission),
        tenant=tenant,
        ttl_seconds=3600,
    )
    return {"Authorization": f"Bearer {token}"}


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="videoconf-fuzz-") as name:
        folder = Path(name)
        settings: dict[str, str | None] = {
            **FAKE_SETTINGS,
            "VIDEOCONF_PROVIDERS": "fake",
            "VIDEOCONF_FAKE_STATE": str(folder / "fake.sqlite"),
            "VIDEOCONF_DATABASE_URL": f"sqlite:///{folder / 'videoconf.sqlite'}",
            "VIDEOCONF_JWT_SECRETS": JWT_SECRET,
            "VIDEOCONF_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "VIDEOCONF_RATE_LIMIT_ADDRESS": "",  # most requests are refused, and all come from one address
            "VIDEOCONF_JOIN_PAGE": "false",  # GET of a path whose POST is an operation, and not in the document
            "VIDEOCONF_STORAGE_HOSTS": "storage.invalid",  # no bucket that a request makes up is asked for
        }
        upgrade = [sys.executable, "-m", "flask", "--app", "videoconf.app", "db", "upgrade"]
        subprocess.run(upgrade, cwd=ROOT, env={**os.environ, **settings}, check=True, capture_output=True)
        # The server itself refuses a longer line, in HTML; here the application is to do it.
        gunicorn = [
            sys.executable,
            "-m",
            "gunicorn",
            "--config",
            "gunicorn.conf.py",
            "--limit-request-line=0",
            "wsgi:app",
        ]
        server = start_gunicorn(gunicorn, folder / "server.log", ROOT, settings)
        try:
            server.wait_until_up()
            with service_at(server.url, folder / "fake.sqlite", lambda: bearer("default")) as service:
                (folder / "schemathesis.toml").write_text(CONFIG.format_map(populate(service)))
            failed = [tenant for tenant in ("default", "other") if fuzz(server.url, tenant, folder) != 0]
        finally:
            server.terminate()
        log = server.log
    if "Traceback" in log:
        print(log)
        failed.append("the server, by its log")
    print(f"FOUND SOMETHING: {', '.join(failed)}" if failed else "Nothing was found.")
    return 1 if failed else 0


def populate(service: Service) -> dict[str, str]:
    """Make something to work on; return the ids as TOML lists."""
    meetings = [service.api.create(extId=f"fuzz-{number}") for number in range(MEETINGS)]
    connections = [service.join(link, attendee="ann") for link in meetings]
    service.deliver()
    archives = [str(service.api("POST", f"/session/{link}/archives").json["id"]) for link in meetings]
    invitations = [service.api("POST", f"/session/{link}/invitations", {"admission": "ask"}).json for link in meetings]
    for invitation in invitations:
        service.stranger("POST", "/join", {"code": invitation["url"].partition("#")[2]})
    lobby = [service.api("GET", f"/session/{link}/lobby").json[0]["id"] for link in meetings]
    bans = [service.api("POST", f"/session/{link}/bans", {"attendee": "eve"}).json["id"] for link in meetings]
    return {
        "meetings": json.dumps(meetings),
        "connections": json.dumps(connections),
        "archives": json.dumps(archives),
        "invitations": json.dumps([one["id"] for one in invitations]),
        "lobby": json.dumps(lobby),
        "bans": json.dumps(bans),
    }


def fuzz(url: str, tenant: str, folder: Path) -> int:
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/openapi.json"]
    headers = [f"--header={name}: {value}" for name, value in bearer(tenant).items()]
    # How fast bodies are made up says something about this machine, and nothing about the service.
    patience = "--suppress-health-check=too_slow"
    # /archives/storage-target and /archives/{archiveId} have one shape, so that Allow names PATCH for both.
    checks = ["--checks=all", "--exclude-checks=allow_header_conformance"]
    options = [*checks, patience, f"--max-time={SECONDS}", f"--seed={SEED}", "--warnings=off", "--no-color"]
    # A folder of its own: what one tenant's run keeps for the next would change what the seed gives the other's.
    own = folder / tenant
    own.mkdir()
    shutil.copy(folder / "schemathesis.toml", own)
    process = subprocess.Popen([*command, *headers, f"--request-timeout={REQUEST_SECONDS}", *options], cwd=own)
    try:
        return process.wait(SECONDS + OVERTIME_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        print(f"The run as {tenant!r} did not end in {SECONDS + OVERTIME_SECONDS} s.")
        return 1


if __name__ == "__main__":
    sys.exit(main())
