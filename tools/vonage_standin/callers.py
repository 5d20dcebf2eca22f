"""Callers of the stand-in: the unmodified SDK, and requests whose every part is chosen."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt

from tools.vonage_standin.standin import VonageStandin

TIMEOUT_SECONDS = 5


def sdk_client(standin: VonageStandin, folder: Path) -> Any:
    """Return a client of the opentok SDK that talks to the stand-in.

    In the unified environment the SDK wants the private key in a file, and ignores the URL that it is given; its own
    attributes are therefore overridden (opentok-python 3.15 source).
    """
    from opentok import Client
    from opentok.endpoints import Endpoints

    if standin.environment == "opentok":
        return Client(standin.account, standin.secret, api_url=standin.url, timeout=TIMEOUT_SECONDS)
    key = folder / "application.key"
    key.write_text(standin.secret)
    client = Client(standin.account, str(key), timeout=TIMEOUT_SECONDS)
    client._api_url = standin.url
    client.endpoints = Endpoints(standin.url, client.api_key)
    return client


def server_token(
    standin: VonageStandin,
    *,
    secret: str | None = None,
    algorithm: str | None = None,
    header: Mapping[str, Any] | None = None,
    **claims: Any,
) -> str:
    """Sign a server's token as the environment wants it. A claim given as None is left out."""
    now = int(time.time())
    proper: dict[str, Any] = {"iat": now, "exp": now + 180, "jti": str(uuid.uuid4())}
    if standin.environment == "opentok":
        proper |= {"iss": standin.account, "ist": "project"}
    else:
        proper |= {"application_id": standin.account}
    given = {name: value for name, value in {**proper, **claims}.items() if value is not None}
    fitting = "HS256" if standin.environment == "opentok" else "RS256"
    return jwt.encode(given, secret or standin.secret, algorithm or fitting, headers=dict(header or {}))


def authorization(standin: VonageStandin, token: str) -> dict[str, str]:
    """Return the header that carries a server's token."""
    if standin.environment == "opentok":
        return {"X-OPENTOK-AUTH": token}
    return {"Authorization": f"Bearer {token}"}


@dataclass(frozen=True)
class Got:
    """The answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def call(
    standin: VonageStandin,
    method: str,
    path: str,
    body: Any = None,
    *,
    headers: Mapping[str, str] | None = None,
    authorized: bool = True,
) -> Got:
    """Send one request; ``{p}`` in the path is the account. Follows no redirect, uses no proxy.

    :param body: bytes as they are, anything else as JSON.
    """
    raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    sent = {"Accept": "application/json", "Content-Type": "application/json"}
    if authorized:
        sent |= authorization(standin, server_token(standin))
    url = standin.url + path.replace("{p}", f"/v2/project/{standin.account}")
    request = urllib.request.Request(url, raw, {**sent, **(headers or {})}, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            return Got(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Got(error.code, dict(error.headers), error.read())


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None
