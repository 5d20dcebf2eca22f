"""Callbacks: what is taken for Vonage's, and the many things that are not."""

import base64
import hashlib
import hmac
import json
import uuid
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.plugins.vonage.conftest import API_KEY, API_SECRET, APPLICATION_ID, NOW, SIGNATURE_SECRET
from videoconf.errors import WebhookRejected
from videoconf.providers import Secret, WebhookRequest

BODY = b'{"sessionId":"2_MX4","projectId":"47999111","event":"connectionCreated","timestamp":1760000000123}'
URL = "https://meet.example/webhooks/vonage/session"
OTHER_SECRET = "callbacks-were-signed-with-that-secret"
TOKEN = "callback-urls-end-with-this"


def b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def jws(header, claims, sign):
    """Make a JWT by hand, since no library makes bad ones."""
    signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{signed}.{b64(sign(signed.encode()))}"


def hs256(secret):
    return lambda signed: hmac.digest(secret.encode(), signed, "sha256")


@pytest.fixture
def proper(environment):
    """The claims of a good signature."""
    claims = {
        "iat": int(NOW.timestamp()),
        "jti": str(uuid.uuid4()),
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(BODY).hexdigest(),
        "api_key": API_KEY,
    }
    return claims if environment == "opentok" else claims | {"api_key": "a1b2c3d4", "application_id": APPLICATION_ID}


@pytest.fixture
def signed(proper):
    """Give a function that makes the header of a signed callback; keywords are claims, None leaves one out."""

    def signed(secret=SIGNATURE_SECRET, *, header=None, sign=None, **changes):
        claims = {name: value for name, value in (proper | changes).items() if value is not None}
        return f"Bearer {jws(header or {'alg': 'HS256', 'typ': 'JWT'}, claims, sign or hs256(secret))}"

    return signed


def callback(authorization=None, *, body=BODY, url=URL, **later):
    headers = {"content-type": "application/json"}
    if authorization is not None:
        headers["authorization"] = authorization
    return WebhookRequest("session", "POST", url, headers, body, NOW + timedelta(**later))


# --- signed ---------------------------------------------------------------------------------------------------------


def test_signed_callback_is_accepted(provider, signed):
    provider.verify_webhook(callback(signed()))


def test_a_signature_without_measure_is_not_read(provider, signed):
    provider.verify_webhook(callback(signed(padding="x" * 4096)))
    with pytest.raises(WebhookRejected, match="not signed"):
        provider.verify_webhook(callback(signed(padding="x" * 8192)))
    provider.verify_webhook(callback(signed().replace("Bearer ", "bearer  ")))


def test_each_of_several_secrets_verifies_until_it_is_removed(make_provider, signed):
    for secrets in ((SIGNATURE_SECRET, OTHER_SECRET), (OTHER_SECRET, SIGNATURE_SECRET)):
        rotating = make_provider(signature_secrets=tuple(map(Secret, secrets)))
        rotating.verify_webhook(callback(signed(SIGNATURE_SECRET)))
        rotating.verify_webhook(callback(signed(OTHER_SECRET)))
    with pytest.raises(WebhookRejected):
        make_provider(signature_secrets=(Secret(OTHER_SECRET),)).verify_webhook(callback(signed(SIGNATURE_SECRET)))


@pytest.mark.parametrize("hours", [0, 6, 24])
def test_old_signature_is_accepted_while_vonage_repeats_it(provider, signed, hours):
    provider.verify_webhook(callback(signed(), hours=hours))


@pytest.mark.parametrize("minutes", [24 * 60 + 6, -6])
def test_a_signature_outside_the_window_is_refused(provider, signed, minutes):
    with pytest.raises(WebhookRejected):
        provider.verify_webhook(callback(signed(), minutes=minutes))


def test_the_window_is_a_setting(make_provider, signed):
    strict = make_provider(signature_max_age_seconds=300)
    strict.verify_webhook(callback(signed(), seconds=300))
    with pytest.raises(WebhookRejected):
        strict.verify_webhook(callback(signed(), seconds=301))


def test_changed_byte_of_the_body_is_refused(provider, signed):
    for index in range(len(BODY)):
        body = BODY[:index] + bytes([BODY[index] ^ 1]) + BODY[index + 1 :]
        with pytest.raises(WebhookRejected):
            provider.verify_webhook(callback(signed(), body=body))


@pytest.mark.parametrize("body", [b"", b" " + BODY, BODY + b"\n", BODY.replace(b",", b", "), BODY[:-1], BODY + BODY])
def test_added_or_removed_bytes_are_refused(provider, signed, body):
    with pytest.raises(WebhookRejected):
        provider.verify_webhook(callback(signed(), body=body))


def test_hash_of_the_compact_body_ignores_whitespace(make_provider, provider, signed):
    compact = make_provider(payload_hash="compact")
    spaced = json.dumps(json.loads(BODY), indent=2).encode()
    compact.verify_webhook(callback(signed()))
    compact.verify_webhook(callback(signed(), body=spaced))
    with pytest.raises(WebhookRejected):
        provider.verify_webhook(callback(signed(), body=spaced))
    text = rb'{"a":"b \" c","d":1}'
    hashed = hashlib.sha256(text).hexdigest()
    compact.verify_webhook(callback(signed(payload_hash=hashed), body=rb'{ "a" : "b \" c", "d": 1 }'))
    for inside in (rb'{"a":"b\" c","d":1}', rb'{"a":"b \"c","d":1}'):  # in a text it does count
        with pytest.raises(WebhookRejected):
            compact.verify_webhook(callback(signed(payload_hash=hashed), body=inside))


@pytest.mark.timeout(10)
def test_compacting_a_long_callback_ends_soon(make_provider, signed):
    body = b'\\"' * 100_000
    hashed = hashlib.sha256(body).hexdigest()
    make_provider(payload_hash="compact").verify_webhook(callback(signed(payload_hash=hashed), body=body))


FORGERIES = {
    "no claims": dict.fromkeys(["iat", "jti", "iss", "payload_hash", "api_key", "application_id"]),
    "no hash": {"payload_hash": None},
    "empty hash": {"payload_hash": ""},
    "hash of another body": {"payload_hash": hashlib.sha256(b"{}").hexdigest()},
    "hash that is a number": {"payload_hash": 7},
    "hash that is a list": {"payload_hash": [hashlib.sha256(BODY).hexdigest()]},
    "hash with other digits": {"payload_hash": "٤" * 64},
    "no issuer": {"iss": None},
    "another issuer": {"iss": "Nexmo"},
    "issuers": {"iss": ["Vonage"]},
    "no time": {"iat": None},
    "time as a text": {"iat": str(int(NOW.timestamp()))},
    "time as a truth": {"iat": True},
    "time as a list": {"iat": []},
    "no number": {"iat": float("nan")},
    "for ever": {"iat": float("inf")},
    "long ago": {"iat": -(10**400)},
    "another account": {"api_key": "123456", "application_id": "00000000-0000-0000-0000-000000000000"},
    "accounts": {"api_key": [API_KEY], "application_id": [APPLICATION_ID]},
}


@pytest.mark.parametrize("changes", FORGERIES.values(), ids=FORGERIES)
def test_claims_that_do_not_fit_are_refused(provider, signed, changes):
    with pytest.raises(WebhookRejected):
        provider.verify_webhook(callback(signed(**changes)))


@pytest.mark.parametrize("environment", ["opentok"], indirect=True)
def test_the_api_key_is_needed_in_the_opentok_environment(provider, signed):
    with pytest.raises(WebhookRejected):
        provider.verify_webhook(callback(signed(api_key=None)))


@pytest.mark.parametrize("environment", ["unified"], indirect=True)
def test_application_id_and_api_key_are_optional(provider, signed):
    provider.verify_webhook(callback(signed(application_id=None)))
    provider.verify_webhook(callback(signed(api_key=None)))


def test_signatures_by_other_secrets_are_refused(provider, signed):
    for secret in (OTHER_SECRET, API_SECRET, "", SIGNATURE_SECRET + " ", SIGNATURE_SECRET.upper()):
        with pytest.raises(WebhookRejected):
            provider.verify_webhook(callback(signed(secret)))


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "", None, "HS384", "RS256", "ES256", "EdDSA", 7, ["HS256"]]
)
def test_sender_does_not_choose_the_algorithm(provider, signed, algorithm):
    for sign in (
        lambda text: b"",
        hs256(SIGNATURE_SECRET),
        lambda t: hmac.digest(SIGNATURE_SECRET.encode(), t, "sha384"),
    ):
        with pytest.raises(WebhookRejected):
            provider.verify_webhook(callback(signed(header={"alg": algorithm, "typ": "JWT"}, sign=sign)))


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_only_hs256_is_accepted_with_the_secret(make_provider, signed, algorithm):
    secret = "long enough for every algorithm " * 4
    provider = make_provider(signature_secrets=(Secret(secret),))
    hash_name = algorithm.replace("HS", "sha")
    header = signed(header={"alg": algorithm}, sign=lambda text: hmac.digest(secret.encode(), text, hash_name))
    if algorithm == "HS256":
        provider.verify_webhook(callback(header))
        return
    with pytest.raises(WebhookRejected):
        provider.verify_webhook(callback(header))


def test_public_key_is_not_accepted_as_a_secret(provider, signed, application_key):
    public = application_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    def rs256(text):
        return application_key.sign(text, padding.PKCS1v15(), hashes.SHA256())

    for header, sign in (
        ({"alg": "HS256"}, hs256(public.decode())),
        ({"alg": "RS256"}, rs256),
        ({"alg": "RS256"}, hs256(SIGNATURE_SECRET)),
        ({"alg": "HS256", "kid": "../../dev/null"}, hs256("")),
        ({"alg": "HS256", "jku": "https://evil.example", "jwk": {"kty": "oct", "k": b64(b"x")}}, hs256("x")),
        ({"alg": "HS256", "crit": ["x"]}, hs256(SIGNATURE_SECRET)),
    ):
        with pytest.raises(WebhookRejected):
            provider.verify_webhook(callback(signed(header=header, sign=sign)))


MALFORMED = [
    "",
    " ",
    "Bearer",
    "Bearer ",
    "Bearer  ",
    "Bearer x",
    "Bearer ..",
    "Bearer a.b",
    "Bearer a.b.c",
    "Bearer a.b.c.d",
    "Bearer \x00.\x00.\x00",
    "Bearer é.é.é",
    "Bearer \udcff",
    f"Bearer {'A' * 100_000}",
    f"Bearer {b64(b'{}')}.{b64(b'{}')}.",
    f"Bearer {b64(b'[]')}.{b64(b'[]')}.{b64(b'x')}",
    f"Bearer {b64(b'[' * 3000)}.{b64(b'{}')}.x",
    "Basic dm9uYWdlOnZvbmFnZQ==",
    "Digest realm=vonage",
]


@pytest.mark.parametrize("header", [None, *MALFORMED], ids=lambda header: repr(header)[:30])
def test_a_malformed_header_is_refused(provider, header):
    with pytest.raises(WebhookRejected):
        provider.verify_webhook(callback(header))


def test_a_scheme_is_needed_and_no_second_header_helps(provider, signed):
    good = signed()
    for header in (good.removeprefix("Bearer "), good.replace("Bearer", "Basic"), f"{good}, {good}", f"{good} x"):
        with pytest.raises(WebhookRejected):
            provider.verify_webhook(callback(header))


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_changed_header_is_refused(provider, signed, data):
    good = signed()
    index = data.draw(st.integers(0, len(good) - 1))
    other = data.draw(st.characters(codec="latin-1"))
    header = good[:index] + other + good[index + 1 :]
    try:
        provider.verify_webhook(callback(header))
    except WebhookRejected:
        return
    # Base64 has spare bits in its last character: the same bytes in another spelling are the same signature.
    assert header.lower()[:7] == "bearer " or other.isspace()
    assert index in (*range(7), len(good) - 1) or header == good


# --- not signed -----------------------------------------------------------------------------------------------------


@pytest.fixture
def unsigned(make_provider):
    return make_provider(signature_secrets=(), webhook_token=Secret(TOKEN))


def test_url_token_is_enough_for_an_unsigned_callback(unsigned):
    unsigned.verify_webhook(callback(url=f"{URL}?token={TOKEN}"))
    unsigned.verify_webhook(callback("Basic dm9uYWdlOng=", url=f"{URL}?a=b&token={TOKEN}"))


NO_TOKEN = ["", "?", "?token", "?token=", "?token=x", "?token=%ff", "?token=%00", "?token=\udcff", f"?{TOKEN}"]
NEARLY = [f"token={TOKEN}x", f"token={TOKEN}&token={TOKEN}", f"Token={TOKEN}", f"token={TOKEN.upper()}"]


@pytest.mark.parametrize("query", [*NO_TOKEN, f"#token={TOKEN}", *(f"?{query}" for query in NEARLY)])
def test_unsigned_callback_without_the_token_is_refused(unsigned, query):
    with pytest.raises(WebhookRejected) as caught:
        unsigned.verify_webhook(callback(url=URL + query))
    assert TOKEN not in str(caught.value)


def test_a_bad_signature_is_not_made_good_by_the_token(make_provider, signed):
    both = make_provider(webhook_token=Secret(TOKEN))
    both.verify_webhook(callback(signed()))
    both.verify_webhook(callback(url=f"{URL}?token={TOKEN}"))
    for header in (signed(OTHER_SECRET), *MALFORMED):
        with pytest.raises(WebhookRejected):
            both.verify_webhook(callback(header, url=f"{URL}?token={TOKEN}"))


def test_url_token_proves_nothing_unless_it_is_configured(provider):
    with pytest.raises(WebhookRejected):
        provider.verify_webhook(callback(url=f"{URL}?token="))


def test_only_development_accepts_unverified_callbacks(make_provider):
    make_provider(signature_secrets=(), development=True).verify_webhook(callback())
