"""Tokens of clients, read by an independent check: no JWT library, no SDK."""

import base64
import builtins
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from tests.plugins.vonage.conftest import API_KEY, API_SECRET, APPLICATION_ID, session_of
from videoconf.errors import ProviderAuthFailed, ProviderRejected, ProviderUnavailable, ValidationFailed
from videoconf.providers import Role, SessionRef, TokenRequest

COMMON = {"session_id", "role", "iat", "exp", "scope"}


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@pytest.fixture
def session(provider):
    return session_of(provider.account)


@pytest.fixture
def read(environment, application_key):
    """Give a function that checks a token's signature by hand and returns its claims."""

    def read(token):
        head, body, signature = token.split(".")
        signed = f"{head}.{body}".encode()
        if environment == "opentok":
            assert json.loads(decoded(head)) == {"alg": "HS256", "typ": "JWT"}
            assert hmac.digest(API_SECRET.encode(), signed, "sha256") == decoded(signature)
        else:
            assert json.loads(decoded(head)) == {"alg": "RS256", "typ": "JWT"}
            key = application_key.public_key()
            key.verify(decoded(signature), signed, padding.PKCS1v15(), hashes.SHA256())
        return json.loads(decoded(body))

    return read


def in_(**amount):
    return datetime.now(UTC) + timedelta(**amount)


@pytest.mark.parametrize("role", list(Role))
def test_token_has_the_documented_claims(provider, session, read, environment, role):
    expires_at = in_(hours=2)
    join = provider.issue_token(session, TokenRequest(role, expires_at, "u-7", "Ada", "ward 3"))
    claims = read(join.token)
    assert claims["session_id"] == session.session_id
    assert claims["role"] == str(role)
    assert claims["scope"] == "session.connect"
    assert claims["exp"] == int(expires_at.timestamp())
    assert abs(claims["iat"] - time.time()) < 30
    assert claims["connection_data"] == 'videoconf:1:{"attendee":"u-7","name":"Ada","data":"ward 3"}'
    if environment == "opentok":
        assert claims.keys() == COMMON | {"connection_data", "iss", "ist", "nonce"}
        assert (claims["iss"], claims["ist"]) == (API_KEY, "project")
        assert join.connect == {"apiKey": API_KEY}
    else:
        assert claims.keys() == COMMON | {"connection_data", "application_id", "jti", "subject", "acl"}
        assert (claims["application_id"], claims["subject"]) == (APPLICATION_ID, "video")
        assert claims["acl"] == {"paths": {"/session/**": {}}}
        assert join.connect == {"applicationId": APPLICATION_ID}
    assert join.expires_at == datetime.fromtimestamp(claims["exp"], UTC)


def test_token_of_an_anonymous_person_has_no_data(provider, session, read):
    assert "connection_data" not in read(
        provider.issue_token(session, TokenRequest(Role.SUBSCRIBER, in_(hours=1))).token
    )


def test_token_lasts_at_most_30_days(provider, session, read):
    expires_at = in_(days=30)
    claims = read(provider.issue_token(session, TokenRequest(Role.PUBLISHER, expires_at)).token)
    assert claims["exp"] == int(expires_at.timestamp())
    for refused in (in_(days=30, minutes=1), in_(minutes=-1)):
        with pytest.raises(ProviderRejected):
            provider.issue_token(session, TokenRequest(Role.PUBLISHER, refused))


def test_the_limit_of_data_counts_the_packed_form(provider, session, read):
    def issue(**who):
        return provider.issue_token(session, TokenRequest(Role.PUBLISHER, in_(hours=1), **who))

    assert read(issue(attendee="x" * 1000, data="x" * 1000).token)["connection_data"] == "x" * 1000
    fits = 1000 - len('videoconf:1:{"attendee":"","name":"Ä"}')
    assert len(read(issue(attendee="ß" * fits, name="Ä").token)["connection_data"]) == 1000
    with pytest.raises(ValidationFailed) as caught:
        issue(attendee="ß" * (fits + 1), name="Ä")
    assert caught.value.errors.keys() == {"data"}


def test_the_session_of_another_account_gets_no_token(provider):
    with pytest.raises(ProviderAuthFailed):
        provider.issue_token(session_of("123"), TokenRequest(Role.PUBLISHER, in_(hours=1)))
    with pytest.raises(ProviderRejected):  # the SDK looks into the id
        provider.issue_token(
            SessionRef(provider.account, session_of("123").session_id), TokenRequest(Role.PUBLISHER, in_(hours=1))
        )


def test_secret_is_neither_opened_as_a_file_nor_written_to_one(make_provider, read, monkeypatch):
    import opentok  # noqa: F401  # what it opens while it is imported is its own

    def refuse(*args, **kwargs):
        raise AssertionError(f"opened {args[0]!r}")

    provider = make_provider()
    with monkeypatch.context() as patched:
        patched.setattr(builtins, "open", refuse)
        token = provider.issue_token(session_of(provider.account), TokenRequest(Role.PUBLISHER, in_(hours=1))).token
    assert read(token)["role"] == "publisher"


class NotedHeaders:
    """An HTTP client that notes the headers of two attempts and reaches no server."""

    def __init__(self):
        self.noted = []

    def request(self, *args, headers, **options):
        self.noted += [headers(), headers()]
        raise ProviderUnavailable

    def close(self):
        pass


def test_each_attempt_is_signed_again_and_briefly(make_provider, read, environment):
    client = NotedHeaders()
    with pytest.raises(ProviderUnavailable):
        make_provider(http=lambda account: client).check()
    first, second = client.noted
    assert first["Accept"] == "application/json"
    name = "X-OPENTOK-AUTH" if environment == "opentok" else "Authorization"
    claims = [read(headers[name].removeprefix("Bearer ")) for headers in (first, second)]
    assert claims[0]["jti"] != claims[1]["jti"]
    assert all(one["exp"] - one["iat"] <= 300 for one in claims)
    if environment == "opentok":
        assert (claims[0]["iss"], claims[0]["ist"]) == (API_KEY, "project")
    else:
        assert claims[0]["application_id"] == APPLICATION_ID
    assert hashlib.sha256(first[name].encode()).digest() != hashlib.sha256(second[name].encode()).digest()
