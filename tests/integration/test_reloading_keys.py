"""HUP after a key was changed: what is read again, and how the log shows which keys are in force."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.support.servers import GunicornServer
from tests.support.service import ON_SQLITE
from tests.unit.api.bearer_tokens import OTHER_SECRET, token

pytestmark = ON_SQLITE
NEW_SECRET = "a-new-secret-of-more-than-thirty-two-characters"


def status(server: GunicornServer, secret: str) -> int:
    request = Request(f"{server.url}/session", headers={"Authorization": f"Bearer {token(secret)}"})
    try:
        with urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except HTTPError as refused:
        with refused:
            return refused.code


def loaded_keys(server: GunicornServer) -> list[list[str]]:
    lines = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
    return [line["key_ids"] for line in lines if line["message"] == "videoconf started"]


def test_file_of_secrets_is_read_again_at_hup(gunicorn_server: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "jwt_secrets"
    file.write_text(f"{OTHER_SECRET}\n")
    server = gunicorn_server(VIDEOCONF_JWT_SECRETS=None, VIDEOCONF_JWT_SECRETS_FILE=str(file))
    assert (status(server, OTHER_SECRET), status(server, NEW_SECRET)) == (200, 401)
    file.write_text(f"{NEW_SECRET}\n{OTHER_SECRET}\n")
    server.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while status(server, NEW_SECRET) != 200:
        assert time.monotonic() < deadline, server.log
        time.sleep(0.2)
    assert status(server, OTHER_SECRET) == 200
    old, new = loaded_keys(server)
    assert (len(old), len(new), new[1]) == (1, 2, old[0])
    assert OTHER_SECRET[:10] not in server.log
