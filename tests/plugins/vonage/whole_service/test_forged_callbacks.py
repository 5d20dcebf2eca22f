"""Forged callbacks are refused, and no credential shows anywhere."""

from __future__ import annotations

import base64
import json
import logging
import secrets
import subprocess
import sys
from urllib.parse import quote

import jwt
import pytest
from sqlalchemy import text

from tests.plugins.vonage.whole_service.vonage_service import PATHS, PERSON, SIGNATURE_SECRET, WEBHOOK_TOKEN
from tests.support.service import ON_SQLITE, Answer, Caller, in_process
from tools.vonage_standin import faults
from videoconf.api.services import services
from videoconf.db.transactions import read


def forged(claims, body, secret=SIGNATURE_SECRET, algorithm="HS256"):
    return {"Authorization": f"Bearer {jwt.encode(claims, secret, algorithm)}", "Content-Type": "application/json"}


@ON_SQLITE
def test_forged_callback_is_refused_and_not_stored(service, standin):
    link = service.api.create()
    service.join(link, **PERSON)
    (created,) = [one for one in standin.callbacks.due() if one.name == "connection_created"]
    body, headers = standin.callbacks.request_of(created)
    signature = headers["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(signature, options={"verify_signature": False})
    other_account = {"api_key": "123", "application_id": "00000000-0000-4000-8000-000000000000"}
    head, payload, mac = signature.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    attempts = {
        "another secret": (body, forged(claims, body, secrets.token_urlsafe(32))),
        "another algorithm": (body, forged(claims, body, SIGNATURE_SECRET * 2, "HS512")),
        "no algorithm": (body, {"Authorization": f"Bearer {none}.{payload}."}),
        "no signature": (body, {"Authorization": f"Bearer {head}.{payload}."}),
        "another body": (body.replace(b"u-7", b"u-8"), headers),
        "a space more": (body + b" ", headers),
        "no hash": (body, forged({k: v for k, v in claims.items() if k != "payload_hash"}, body)),
        "another issuer": (body, forged(claims | {"iss": "x"}, body)),
        "another account": (body, forged(claims | other_account, body)),
        "stale": (body, forged(claims | {"iat": claims["iat"] - 90000}, body)),
        "from the future": (body, forged(claims | {"iat": claims["iat"] + 3600}, body)),
        "nothing": (body, {}),
        "a word": (body, {"Authorization": "Bearer word"}),
        "another scheme": (body, {"Authorization": f"Basic {signature}"}),
        "two": (body, {"Authorization": f"Bearer {signature}, Bearer {signature}"}),
        "bytes": (body, {"Authorization": "Bearer \xff.\xfe.\x80"}),
        "much": (body, {"Authorization": "Bearer " + "x" * 60000}),
        "nesting": (body, {"Authorization": f"Bearer {'W1tb' * 2000}.{payload}.{mac}"}),
    }
    for name, (sent, how) in attempts.items():
        for path in (*PATHS, "/webhooks/session"):
            answer = service.send("POST", path, sent, {"Content-Type": "application/json", **how})
            assert answer.problem == (401, "webhook_rejected"), name
            assert answer.json["detail"] == "The webhook's signature is not valid", name
    for query in ("", "?token=", "?token=x", f"?token={WEBHOOK_TOKEN}x", f"?token={WEBHOOK_TOKEN}&token=x"):
        assert service.send("POST", PATHS[0] + query, body, {}).status == 401
    assert service.send("POST", f"{PATHS[0]}?token={WEBHOOK_TOKEN}", body, forged(claims, body, "x" * 32)).status == 401
    assert service.stored() == 0
    assert service.api.attendees(link) == []

    service.deliver()
    assert [one["attendee"] for one in service.api.attendees(link)] == ["u-7"]
    kept = service.stored()
    for _ in range(3):  # replayed, word for word
        assert service.send("POST", PATHS[0], body, headers).status == 200
    assert service.stored() == kept


@ON_SQLITE
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 10_000, b'{"event":"connectionCreated"}'])
def test_unreadable_authentic_callback_is_accepted(service, body):
    url = f"{PATHS[0]}?token={WEBHOOK_TOKEN}"
    for _ in range(2):
        assert service.send("POST", url, body, {"Content-Type": "application/json"}).status == 200
    assert service.stored() == 1


def spellings(secret: str) -> set[str]:
    raw = secret.encode()
    encoded = {base64.b64encode(raw).decode().rstrip("="), base64.urlsafe_b64encode(raw).decode().rstrip("=")}
    return {secret, quote(secret, safe=""), raw.hex(), json.dumps(secret)[1:-1], *encoded}


@ON_SQLITE
def test_credentials_show_nowhere(make_service, standin, caplog, headers):
    caplog.set_level(logging.DEBUG)
    service = make_service(secret=None, query=f"?token={WEBHOOK_TOKEN}")
    seen: list[Answer] = []

    def remembered(*request):
        seen.append(service.app and in_process(service.app)(*request))
        return seen[-1]

    service.send = remembered
    service.api = api = Caller(remembered, headers())
    link = api.create()
    connection = service.join(link, **PERSON)
    service.deliver()
    for fault in (faults.error(401), faults.error(500), faults.reset_after_processing(), faults.garbage()):
        standin.faults.add("POST", "/session/create$", fault)
        api("POST", "/session", {})
    api("POST", f"/session/{link}/archives")
    service.send("POST", f"{PATHS[0]}?token={WEBHOOK_TOKEN}x", b"{}", {"Authorization": "Bearer x.y.z"})
    service.send("POST", f"{PATHS[0]}?token={WEBHOOK_TOKEN}", b"{", {})
    api("GET", "/providers")
    api("DELETE", f"/session/{link}/attendees/{connection.connection_id}")
    api("PATCH", f"/session/{link}/end")
    provider = services(service.app).providers.get("vonage").plugin
    tokens = {one.headers.get(name, "") for one in standin.received for name in ("x-opentok-auth", "authorization")}
    with service.app.app_context(), read() as session:
        tables = session.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars().all()
        dump = repr([session.execute(text(f'SELECT * FROM "{name}"')).all() for name in tables])
    places = {
        "log": caplog.text + repr([vars(one) for one in caplog.records]),
        "answers": repr([(one.body, dict(one.headers)) for one in seen if b'"connect"' not in one.body]),
        "objects": repr([provider, provider.settings, vars(provider), vars(provider.context), service.app.config]),
        "database": dump,
    }
    middle = standin.secret.splitlines()[len(standin.secret.splitlines()) // 2]  # of a key, a line
    hidden = [SIGNATURE_SECRET, WEBHOOK_TOKEN, middle, *(token.removeprefix("Bearer ") for token in tokens if token)]
    assert len(hidden) > 8
    for name, place in places.items():
        for secret in hidden:
            assert not [one for one in spellings(secret) if one in place], name


def test_sdk_is_imported_with_the_first_token():
    script = (
        "import sys, videoconf, videoconf.app\n"
        "from videoconf.settings import Settings, Secret\n"
        "app = videoconf.app.create_app(Settings(providers=('fake', 'vonage'), jwt_secrets=(Secret('x' * 40),),"
        " embedded_workers=0), serving=True)\n"
        "assert 'vonage' in app.extensions['videoconf'].registry.providers\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('opentok', 'requests')])"
    )
    environment = {
        "PATH": "",
        "PYTHONPATH": ":".join(sys.path),
        "VIDEOCONF_FAKE_WEBHOOK_SECRETS": "whsec_dGVzdHMtc2lnbi13ZWJob29rcy13aXRoLXRoaXM=",
        "VIDEOCONF_FAKE_TOKEN_SECRET": "x" * 40,
        "VIDEOCONF_VONAGE_API_KEY": "46000001",
        "VIDEOCONF_VONAGE_API_SECRET": "x" * 40,
        "VIDEOCONF_VONAGE_SIGNATURE_SECRETS": "y" * 40,
    }
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
