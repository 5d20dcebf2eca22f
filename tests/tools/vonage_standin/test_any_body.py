"""Whatever is sent, the stand-in answers, so that a client's mistake shows as one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.vonage_standin import Unauthorized, VonageStandin
from tools.vonage_standin.api import Request
from tools.vonage_standin.callers import authorization, server_token

PATHS = [
    ("POST", "/archive"),
    ("POST", "/archive/{archive}/stop"),
    ("PUT", "/archive/{archive}/layout"),
    ("PATCH", "/archive/{archive}/streams"),
    ("PUT", "/archive/storage"),
    ("PUT", "/session/{session}/stream"),
    ("POST", "/session/{session}/mute"),
    ("POST", "/session/{session}/signal"),
]
FIELDS = (
    "sessionId name hasAudio hasVideo outputMode streamMode resolution multiArchiveTag maxBitrate layout type"
    " stylesheet quantizationParameter addStream removeStream config fallback accessKey bucket endpoint sse items id"
    " data layoutClassList active excludedStreamIds excludedStreams"
)
CLAIMS = "iss ist iat exp role scope acl session_id"


def anything(names: str) -> st.SearchStrategy[Any]:
    name = st.sampled_from(names.split())
    simple = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    words = st.sampled_from(["s3", "azure", "custom", "pip", "manual", "project", "/session/**"])
    return st.recursive(
        simple | words,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(name, inner, max_size=6),
        max_leaves=12,
    )


@pytest.fixture(scope="module")
def standin() -> Iterator[VonageStandin]:
    with VonageStandin("opentok") as standin:
        yield standin


@pytest.fixture(scope="module")
def ids(standin: VonageStandin) -> dict[str, str]:
    session = standin.world.create_session(routed=True)
    standin.publish(standin.connect_to(session.session_id))
    archive = standin.archives.start(session, {"streamMode": "manual"})
    return {"session": session.session_id, "archive": archive.archive_id}


@pytest.mark.parametrize(("method", "path"), PATHS)
@given(body=anything(FIELDS) | st.dictionaries(st.sampled_from(FIELDS.split()), anything(FIELDS), max_size=8))
def test_any_json_gets_an_expected_status(
    standin: VonageStandin, ids: dict[str, str], method: str, path: str, body: Any
) -> None:
    if isinstance(body, dict) and "sessionId" in body:
        body["sessionId"] = ids["session"]
    headers = {name.lower(): value for name, value in authorization(standin, server_token(standin)).items()}
    path = f"/v2/project/{standin.account}{path.format(**ids)}"
    answer = standin.api.answer(Request(method, path, "", headers, json.dumps(body).encode()))
    assert answer.status in (200, 204, 400, 404, 405, 409, 413)


@given(changes=st.dictionaries(st.sampled_from(CLAIMS.split()), anything(CLAIMS)))
def test_any_claims_are_refused(standin: VonageStandin, changes: dict[str, Any]) -> None:
    now = int(time.time())
    claims = {"iss": standin.account, "ist": "project", "iat": now, "exp": now + 60, **changes}
    # Not by jwt.encode, which refuses to sign claims of the wrong type.
    token = jwt.PyJWS().encode(json.dumps(claims).encode(), standin.secret, "HS256")
    answer = standin.api.answer(Request("GET", "/v2/project/1/archive", "", {"x-opentok-auth": token}, b""))
    assert answer.status == 403
    with pytest.raises(Unauthorized):
        standin.credentials.read_client_token(token)
