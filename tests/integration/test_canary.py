"""No credential leaves the service: not in answers, logs, errors, reprs, commands' output or the database.

Every credential is a canary, a text that is nowhere else. A plugin's are added to :data:`SETTINGS` or :data:`TARGETS`.
"""

import base64
import json
import logging
from contextlib import suppress
from functools import partial
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from cryptography.fernet import Fernet
from flask.cli import ScriptInfo
from sqlalchemy import make_url, text

from tests.support.service import service_of
from videoconf.api.services import services
from videoconf.cli.main import commands
from videoconf.db.transactions import read
from videoconf.db.types import Base
from videoconf.providers import ArchiveStatus
from videoconf.settings import Secret
from videoconf_fake.memory import AREAS


def canary(name: str) -> str:
    return f"canary~of/{name}+which-sings-when-it-is-seen"


SETTINGS = {
    "VIDEOCONF_FAKE_TOKEN_SECRET": canary("fake tokens"),
    "VIDEOCONF_FAKE_WEBHOOK_SECRETS": "whsec_" + base64.b64encode(canary("fake webhooks").encode()).decode(),
    "VIDEOCONF_VONAGE_API_SECRET": canary("vonage"),
    "VIDEOCONF_VONAGE_SIGNATURE_SECRETS": canary("vonage signatures"),
    "VIDEOCONF_VONAGE_WEBHOOK_TOKEN": "canary-of-the-vonage-webhook-token",
}
"""Secret settings of plugins."""

NOT_SECRET = {"VIDEOCONF_VONAGE_API_KEY": "46123456", "VIDEOCONF_VONAGE_API_URL": "http://127.0.0.1:1"}
"""What else the plugins need. No server listens on port 1: calls to the vendor fail."""

TARGETS = [
    ({"name": "MEMORY", "area": "canary"}, {"password": canary("memory")}),
    (
        {"name": "AWSS3", "bucket": "canary", "region": "eu-west-1", "endpoint": "http://127.0.0.1:1"},
        {"accessKey": "AKIACANARYCANARY1234", "secretKey": canary("s3")},
    ),
    (
        {"name": "AZURE", "container": "canary", "accountName": "canary", "domain": "http://127.0.0.1:1"},
        {"accountKey": base64.b64encode(canary("azure").encode()).decode()},
    ),
]
"""Storage targets by what is not secret and what is. The first works; the others do not answer."""

ENCRYPTION_KEY = Fernet.generate_key().decode()
JWT_CANARY = canary("bearer tokens")
DATABASE_CANARY = "canary-of-the-database"


def forms(secret: str) -> set[str]:
    """Give what a secret looks like, in clear and in the encodings in which one travels."""
    found = {secret, secret.removeprefix("whsec_")}
    raws = {secret.encode()}
    with suppress(ValueError):
        raws.add(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
    for raw in raws:
        for shift in range(3):  # base64 depends on where in the text it begins
            # The outermost characters depend on the neighbours.
            found.add(base64.b64encode(b" " * shift + raw).decode().rstrip("=")[4:-2])
            found.add(base64.urlsafe_b64encode(b" " * shift + raw).decode().rstrip("=")[4:-2])
        found |= {raw.hex(), raw.hex().upper(), quote(raw, safe=""), repr(raw)[2:-1]}
    return {form for form in found if len(form) >= 12}


class Aviary:
    """All canaries, and where each was looked for."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}

    def add(self, name: str, secret: str) -> None:
        self.secrets[name] = secret

    def listen(self, where: str, said: str) -> None:
        for name, secret in self.secrets.items():
            for form in forms(secret):
                assert form not in said, f"{where} holds {name}"


@pytest.fixture
def aviary() -> Aviary:
    found = Aviary()
    for name, secret in {**SETTINGS, "the encryption key": ENCRYPTION_KEY, "the JWT secret": JWT_CANARY}.items():
        found.add(name, secret)
    for _, secrets in TARGETS:
        for name, secret in secrets.items():
            if name != "accessKey":  # an id, of which the last four characters are shown
                found.add(f"a target's {name}", secret)
    return found


@pytest.fixture(params=[("fake",), ("fake", "vonage")], ids="+".join)
def app(request, make_app, database_url, monkeypatch, caplog, aviary):
    caplog.set_level(logging.DEBUG)
    # Statements with their parameters too. Before the engine is made: it decides then whether it logs them.
    caplog.set_level(logging.DEBUG, "sqlalchemy.engine")
    for name, value in {**SETTINGS, **NOT_SECRET}.items():
        monkeypatch.setenv(name, value)
    url = make_url(database_url)
    if url.get_backend_name() == "postgresql":  # the tests' server trusts everybody, whatever the password
        url = url.set(username=url.username or "postgres", password=DATABASE_CANARY)
        aviary.add("the database's password", DATABASE_CANARY)
    yield make_app(
        providers=request.param,
        log_level="DEBUG",
        development=True,
        database_url=Secret(url.render_as_string(hide_password=False)),
        jwt_secrets=(Secret(JWT_CANARY),),
        encryption_keys=(Secret(ENCRYPTION_KEY),),
        storage_hosts=("127.0.0.1:1",),
    )
    for kept in (AREAS.objects, AREAS.passwords, AREAS.missing):
        kept.clear()


@pytest.fixture
def service(app, headers, aviary):
    service = service_of(app, partial(headers, secret=JWT_CANARY))
    aviary.add("a bearer token", service.api.headers["Authorization"].removeprefix("Bearer "))
    send = service.send

    def listening(method, path, body, headers):
        answer = send(method, path, body, headers)
        said = answer.body.decode(errors="replace") + str(dict(answer.headers))
        aviary.listen(f"the answer to {method} {path}", said)
        return answer

    service.send = service.api.send = listening
    return service


def dump(app) -> str:
    """Give everything that the database holds, as text."""
    with app.app_context(), read() as session:
        tables = [session.execute(text(f'SELECT * FROM "{name}"')).all() for name in Base.metadata.tables]
    values = [value for rows in tables for row in rows for value in row]
    return "\n".join(repr(bytes(value) if isinstance(value, memoryview) else value) for value in values)


def live(service, aviary, with_vonage: bool) -> list[str]:
    """Let a meeting live, storage be set, and everything go wrong that can; return the meeting tokens."""
    api = service.api
    link = api.create()
    token = api.token(link, attendee="ann")["token"]
    connection = service.fake.join(token)
    service.fake.publish(connection)
    service.deliver()
    for shown, secrets in TARGETS:
        answer = api("PUT", "/archives/storage-target", {**shown, **secrets})
        # Vonage, which does not answer, would have to be told of every change.
        assert answer.status == 200 or shown["name"] != "MEMORY" or with_vonage, answer
        api("PUT", "/archives/storage-target", {**shown, **secrets, "noSuchMember": 1})
        api("PUT", "/archives/storage-target", {**shown, **{name: [secret] for name, secret in secrets.items()}})
    assert api("GET", "/archives/storage-target").status == (404 if with_vonage else 200)
    archive = api("POST", f"/session/{link}/archives").json["id"]
    api("POST", f"/archives/{archive}/stop")
    service.fake.change_archive(archive, ArchiveStatus.AVAILABLE)
    service.deliver()
    for path in ("/attendees", "/attendance", ""):
        assert api("GET", f"/session/{link}{path}").status == 200
    for path in (
        "/archives",
        f"/archives/{archive}",
        "/audit",
        "/providers",
        "/readyz",
        "/openapi.json",
        "/webhook-events?status=rejected",
    ):
        api("GET", path)
    for path in ("/webhook-events", "/webhook-events?status=rejected", "/jobs"):
        assert api("GET", path).status == 200
    api("POST", f"/session/{link}/attendees/{connection}/mute")
    subscription = api("POST", "/event-subscriptions", {"url": "http://127.0.0.1:1/events"}).json
    path = f"/event-subscriptions/{subscription['id']}"
    rotated = api("POST", f"{path}/rotate-secret").json
    for number, shown in enumerate((subscription, rotated)):
        aviary.add(f"secret {number} of a subscription", shown["secret"])
    assert api("POST", f"{path}/test").status == 202
    with service.app.app_context():
        services(service.app).projector.run()
        services(service.app).dispatcher.run()
    for place in ("/event-subscriptions", path, f"{path}/deliveries", "/audit", "/events?after=0"):
        assert api("GET", place).status == 200
    api("PATCH", path, {"secret": subscription["secret"]})
    api("POST", "/event-subscriptions", {"url": "http://127.0.0.1:1/events", "secret": subscription["secret"]})

    AREAS.passwords["canary"] = "another"
    shown, secrets = TARGETS[0]
    assert api("PUT", "/archives/storage-target", {**shown, **secrets}).status == 422
    assert api("POST", "/session", {"provider": "vonage"}).status == (503 if with_vonage else 422)
    assert service.stranger("GET", "/session", Authorization="Bearer a.b.c").status == 401
    assert service.caller_with(iss="other")("GET", "/session").status == 401
    assert service.caller_with([])("GET", "/session").status == 403
    forged = service.made_up("connection.created")
    for channel in ("fake/session", "fake/archive", "vonage/session", "vonage/archive"):
        assert service.post(forged, f"/webhooks/{channel}", webhook_signature="v1,AAAA").status in (401, 404)
    assert api("DELETE", f"/archives/{archive}").status in (200, 422, 502)
    assert api("PATCH", f"/session/{link}/end").status == 204
    assert api("POST", f"/session/{link}/token").status == 409
    return [token]


def test_secrets_leave_the_service_nowhere(app, service, aviary, caplog, capsys):
    tokens = live(service, aviary, with_vonage="vonage" in services(app).settings.providers)
    with app.app_context():
        services(app).jobs.run_due()

    parts = services(app)
    things = {
        "app.config": dict(app.config),
        "the services": parts,
        "the settings": parts.settings,
        "the providers": [(provider, vars(provider), provider.plugin.settings) for provider in parts.providers],
        "the targets": vars(parts.targets),
        "what forbids serving": parts.faults,
    }
    for command in ("doctor", "providers", "jobs list", "openapi"):
        result = CliRunner().invoke(commands, command.split(), obj=ScriptInfo(create_app=lambda: app))
        things[f"flask videoconf {command}"] = result.output
    for where, thing in things.items():
        aviary.listen(where, f"{thing!r} {thing!s}")

    for token in tokens:  # those were for the caller alone
        aviary.add("a meeting token", token)
    assert "SELECT" in caplog.text, "statements are logged too"
    aviary.listen("the log", caplog.text)
    lines = capsys.readouterr().err
    assert "videoconf.access" in lines, "and so is each request"
    aviary.listen("the lines", lines)
    aviary.listen("the database", dump(app))


@pytest.mark.parametrize("name", [*SETTINGS, "the encryption key"])
def test_leaked_secret_is_found_in_every_encoding(aviary, name):
    secret = aviary.secrets[name]
    for said in (
        secret,
        base64.b64encode(f"user:{secret}".encode()).decode(),
        base64.b64encode(f":{secret}:".encode()).decode(),
        secret.encode().hex(),
        quote(secret, safe=""),
        json.dumps({"a": [secret]}),
    ):
        with pytest.raises(AssertionError, match="holds"):
            aviary.listen("this", f"before {said} after")
