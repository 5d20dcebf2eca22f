"""Which webhooks are accepted: LiveKit's own receiver is the judge, and differences are listed."""

import base64
import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import jwt
import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from livekit.api import TokenVerifier, WebhookReceiver

from tests.plugins.livekit.samples import API_KEY, DATA, KEYS, OTHER_KEY, header_cases
from videoconf.errors import ConfigurationError, WebhookRejected
from videoconf.providers import ProviderContext, Secret, WebhookRequest
from videoconf_livekit.provider import LiveKitProvider

CASES = {case: rest for case, *rest in header_cases()}
BODY = (DATA / "02_participant_joined.json").read_bytes()
AT = datetime(2026, 1, 5, 10, 0, 5, tzinfo=UTC)


def request(body, authorization, received_at=AT):
    url = "https://meetings.example/webhooks/livekit/session"
    return WebhookRequest("session", "POST", url, {"authorization": authorization}, body, received_at)


def is_accepted(provider, *args):
    try:
        provider.verify_webhook(request(*args))
    except WebhookRejected:
        return False
    return True


def is_accepted_officially(body, authorization, received_at=AT, keys=KEYS):
    """Ask LiveKit's own receiver, at the time at which the webhook came in."""
    with time_machine.travel(received_at, tick=False):
        for name, secret in keys.items():
            try:
                WebhookReceiver(TokenVerifier(name, secret)).receive(body.decode(), authorization)
            except Exception:  # it raises all sorts of things
                continue
            return True
    return False


@pytest.mark.parametrize("case", CASES)
def test_sample_is_judged_as_its_file_says(offline, case):
    body, authorization, received_at, accept = CASES[case]
    accepted = is_accepted(offline, body, authorization, received_at)
    assert accept is None or accepted is accept


@pytest.mark.parametrize("case", CASES)
def test_official_receiver_judges_samples_alike(offline, case):
    body, authorization, received_at, _ = CASES[case]
    official = is_accepted_officially(body, authorization, received_at)
    assert is_accepted(offline, body, authorization, received_at) == official


def test_former_key_is_refused_once_it_is_not_configured(offline):
    body, authorization, received_at, _ = CASES["02_participant_joined-good_second_key"]
    alone = LiveKitProvider.create(replace(offline.settings, webhook_keys=()), offline.context)
    assert is_accepted(offline, body, authorization, received_at)
    assert not is_accepted(alone, body, authorization, received_at)


def test_key_with_two_secrets_accepts_both(offline):
    other = Secret(f"{API_KEY}:{KEYS[OTHER_KEY]}")
    provider = LiveKitProvider.create(replace(offline.settings, webhook_keys=(other,)), offline.context)
    for secret in KEYS.values():
        assert is_accepted(provider, BODY, signed(secret=secret))


def test_short_secret_is_refused_outside_development(offline):
    short = replace(offline.settings, api_secret=Secret("secret"))
    with pytest.raises(ConfigurationError, match="32 characters"):
        LiveKitProvider.create(short, offline.context)
    context = ProviderContext(offline.context.clock, offline.context.http, development=True)
    LiveKitProvider.create(short, context)


# --- over generated headers and bodies ------------------------------------------------------------------------------


def digest(body=BODY):
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def signed(secret=KEYS[API_KEY], algorithm="HS256", **claims):
    """Sign a webhook; a claim of ``...`` is left out."""
    now = int(AT.timestamp())
    claims = {"iss": API_KEY, "nbf": now, "exp": now + 300, "sha256": digest(), **claims}
    return jwt.encode({name: value for name, value in claims.items() if value is not ...}, secret, algorithm)


SECONDS = (-3600, -361, -360, -301, -300, -61, -60, -59, 0, 1, 59, 60, 61, 299, 300, 360, 361, 9000)
MANGLED = {
    "as it is": lambda token: token,
    "with a scheme": lambda token: f"Bearer {token}",
    "behind a blank": lambda token: f" {token}",
    "cut": lambda token: token[:-1],
    "in another case": str.swapcase,
    "with a dot more": lambda token: f"{token}.",
}
LENIENT = f"{digest()[:20]}!{digest()[20:]}"
"""Python's base64 ignores characters of another alphabet. Accepting one form alone is stricter, and harmless."""
_time = st.sampled_from(SECONDS).map(lambda seconds: int(AT.timestamp()) + seconds)
_claims = st.fixed_dictionaries(
    {},
    optional={
        "iss": st.sampled_from((API_KEY, API_KEY, OTHER_KEY, "APIunknown", "", ...)),
        "nbf": _time | st.sampled_from((..., 0)),
        "exp": _time | st.just(...),
        "iat": _time,
        "sub": st.sampled_from(("", "ann#4f2c9a")),
        "video": st.just({"roomJoin": True, "room": "vc-m1"}),
        "sha256": st.sampled_from((digest(), digest(b"other"), "", ..., digest()[:-1], BODY.hex()[:64], LENIENT)),
    },
)
_mostly = st.sampled_from(("as it is",) * 6 + tuple(MANGLED))
_bodies = st.sampled_from((BODY, BODY, BODY, BODY + b" ", BODY.replace(b",", b", ", 1), b"{}", b"not JSON"))
_secrets = st.sampled_from((*KEYS.values(), KEYS[API_KEY], "another-secret-of-32-characters-or-more!"))


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")  # HS512 asks for 64 bytes
@given(_claims, _secrets, st.sampled_from(("HS256", "HS256", "HS256", "HS512")), _mostly, _bodies)
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_generated_headers_are_judged_as_officially(offline, claims, secret, algorithm, mangled, body):
    if body != BODY and claims.get("sha256") == digest():
        claims["sha256"] = digest(body)
    authorization = MANGLED[mangled](signed(secret, algorithm, **claims))
    ours, official = is_accepted(offline, body, authorization), is_accepted_officially(body, authorization)
    if claims.get("sha256") == LENIENT or body == b"not JSON":
        assert official or not ours or body == b"not JSON"  # who sent it is proven; what it says is for the parser
    else:
        assert ours == official
