"""Bearer tokens of an identity provider: real keys, fetched from a key set on a loopback server."""

import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from videoconf.api.jwks import COOLDOWN_SECONDS, FETCH_SECONDS, MAX_BYTES, REFRESH_SECONDS, JwksKeys, KeySetUnusable
from videoconf.api.keys import auth_faults
from videoconf.errors import IssuerUnavailable
from videoconf.settings import Settings
from videoconf.testing.faulty_server import FaultyServer, drip_body, hang

KINDS = {
    "RS256": (lambda: rsa.generate_private_key(65537, 2048), RSAAlgorithm),
    "ES256": (lambda: ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
    "EdDSA": (ed25519.Ed25519PrivateKey.generate, OKPAlgorithm),
}


class Issuer:
    """An identity provider: keys, and the server that publishes them."""

    def __init__(self, server):
        self.server, self.keys, self.fetches, self.is_up = server, {}, 0, True
        self.before_answer = lambda: None
        server.expect_request("/keys").respond_with_handler(self._answer)

    @property
    def url(self):
        return self.server.url_for("/keys")

    def add(self, key_id, algorithm="RS256", **more):
        make, kind = KINDS[algorithm]
        private = make()
        self.keys[key_id] = (algorithm, private, {**kind.to_jwk(private.public_key(), as_dict=True), **more})

    def sign(self, key_id, **claims):
        algorithm, private, _ = self.keys[key_id]
        return jwt.encode(claims, private, algorithm, headers={"kid": key_id})

    def _answer(self, request):
        from werkzeug import Response

        self.fetches += 1
        self.before_answer()
        if not self.is_up:
            return Response("gone", 503)
        entries = [{"use": "sig", **public, "kid": key_id} for key_id, (_, _, public) in self.keys.items()]
        return Response(json.dumps({"keys": entries}), content_type="application/json")


class Clock:
    now = 1000.0
    readings = 0

    def __call__(self):
        self.readings += 1
        return self.now


@pytest.fixture
def issuer(httpserver):
    return Issuer(httpserver)


@pytest.fixture
def stopwatch():
    return Clock()


@pytest.fixture
def keys(issuer, stopwatch):
    return JwksKeys(issuer.url, Settings().jwt_algorithms, clock=stopwatch)


@pytest.mark.parametrize("algorithm", KINDS)
def test_a_key_is_found_by_its_id_and_verifies_its_one_algorithm(issuer, keys, algorithm):
    issuer.add("k", algorithm)
    token = issuer.sign("k", sub="x")
    assert jwt.decode(token, keys.find("k", algorithm)[0], [algorithm])["sub"] == "x"
    for other in {*KINDS, "HS256", "none"} - {algorithm}:
        assert not keys.find("k", other)


def test_keys_are_fetched_once_and_again_when_they_are_old(issuer, keys, stopwatch):
    issuer.add("k")
    for _ in range(5):
        keys.find("k", "RS256")
    assert issuer.fetches == 1
    stopwatch.now += REFRESH_SECONDS
    keys.find("k", "RS256")
    assert issuer.fetches == 2
    assert keys.generation == 1, "the same keys again are not a change"


def test_a_flood_of_invented_ids_costs_one_fetch(issuer, keys, stopwatch):
    issuer.add("k")
    keys.find("k", "RS256")
    stopwatch.now += COOLDOWN_SECONDS
    for number in range(50):
        assert not keys.find(f"invented-{number}", "RS256")
        stopwatch.now += COOLDOWN_SECONDS / 100
    assert issuer.fetches == 2


def test_a_new_key_is_picked_up_after_the_cooldown(issuer, keys, stopwatch):
    issuer.add("old")
    keys.find("old", "RS256")
    issuer.add("new")
    assert not keys.find("new", "RS256")
    stopwatch.now += COOLDOWN_SECONDS
    assert keys.find("new", "RS256")


def test_refresh_removes_a_withdrawn_key_and_its_tokens(issuer, keys, stopwatch):
    issuer.add("old")
    issuer.add("new")
    assert keys.find("old", "RS256")
    assert keys.generation == 1
    del issuer.keys["old"]
    stopwatch.now += REFRESH_SECONDS
    keys.refresh_if_due()
    assert not keys.find("old", "RS256")
    assert keys.generation == 2


def test_last_keys_stay_while_the_issuer_is_down(issuer, keys, stopwatch):
    issuer.add("k")
    keys.find("k", "RS256")
    issuer.is_up = False
    stopwatch.now += 10 * REFRESH_SECONDS
    assert keys.find("k", "RS256")
    issuer.is_up = True
    issuer.add("k2")
    stopwatch.now += REFRESH_SECONDS
    assert keys.find("k2", "RS256")


def test_an_issuer_that_was_never_reached_is_a_503(issuer, keys):
    issuer.is_up = False
    with pytest.raises(IssuerUnavailable) as refusal:
        keys.find("k", "RS256")
    assert refusal.value.retry_after_seconds == 5
    assert issuer.fetches == 1, "requests wait for it: it is not repeated"


def test_one_thread_fetches_and_the_others_use_known_keys(issuer, keys, stopwatch):
    issuer.add("k")
    known = keys.find("k", "RS256")
    asking, answer = threading.Event(), threading.Event()

    def wait():
        asking.set()
        assert answer.wait(10)
        issuer.is_up = False

    issuer.before_answer = wait
    stopwatch.now += REFRESH_SECONDS
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(keys.find, "k", "RS256")
        try:
            assert asking.wait(10)
            stopwatch.now += REFRESH_SECONDS
            assert pool.submit(keys.find, "k", "RS256").result(5) == known
        finally:
            answer.set()
        assert first.result(10) == known


def test_a_thread_that_waited_does_not_fetch_again(issuer, keys, stopwatch):
    issuer.add("k")

    def wait_for_the_other():
        give_up_at = time.monotonic() + 1
        while stopwatch.readings < 2 and time.monotonic() < give_up_at:
            time.sleep(0.01)
        time.sleep(0.05)  # until it waits for the keys

    issuer.before_answer = wait_for_the_other
    with ThreadPoolExecutor(2) as pool:
        found = [call.result(10) for call in [pool.submit(keys.find, "k", "RS256") for _ in range(2)]]
    assert () not in found
    assert issuer.fetches == 1


def test_encryption_and_other_algorithm_keys_are_left_out(issuer, keys):
    issuer.add("encrypts", use="enc")
    issuer.add("other", alg="RS512")
    issuer.add("k")
    assert not keys.find("encrypts", "RS256")
    assert not keys.find("other", "RS256")
    assert keys.find("k", "RS256")


def test_each_key_that_is_left_out_has_its_reason(issuer, keys):
    for name, members in {
        "encrypts": {"use": "enc"},
        "wraps": {"key_ops": ["wrapKey"]},
        "damaged": {"n": ""},
        "other": {"alg": "RS512"},
        "k": {"key_ops": ["verify"]},
    }.items():
        issuer.add(name, **members)
    weak = rsa.generate_private_key(65537, 1024).public_key()
    issuer.keys["weak"] = ("RS256", None, RSAAlgorithm.to_jwk(weak, as_dict=True))
    found = keys.fetch()
    assert found.ids == ("k",)
    assert found.left_out == (
        "key 'encrypts' is not for signatures",
        "key 'wraps' is not for signatures",
        "key 'damaged' cannot be read (InvalidKeyError)",
        "key 'other' verifies RS512, which VIDEOCONF_JWT_ALGORITHMS does not list",
        "key 'weak' is RSA with 1024 bits. Let the issuer sign with 2048 or more.",
    )


def test_log_names_the_keys_that_were_fetched(httpserver, caplog):
    make, kind = KINDS["EdDSA"]
    first, second = (kind.to_jwk(make().public_key(), as_dict=True) for _ in range(2))
    httpserver.expect_request("/keys").respond_with_json({"keys": [first, {**second, "kid": "k"}]})
    keys = JwksKeys(httpserver.url_for("/keys"), Settings().jwt_algorithms)
    with caplog.at_level(logging.INFO):
        assert len(keys.find(None, "EdDSA")) == 2
    assert [record.getMessage() for record in caplog.records if record.name == "videoconf.api.jwks"] == [
        "keys of the identity provider: (without id), k"
    ]


def test_document_with_keys_is_the_key_set(httpserver):
    """Whatever else it has: a URL of other keys, or one that is not a string."""
    keys = JwksKeys(httpserver.url_for("/d"), Settings().jwt_algorithms, allow_http=True)
    httpserver.expect_ordered_request("/d").respond_with_json({"keys": [], "jwks_uri": httpserver.url_for("/e")})
    assert keys.fetch().keys == ()
    httpserver.expect_ordered_request("/d").respond_with_json({"jwks_uri": 7})
    with pytest.raises(KeySetUnusable, match="not a list of keys"):
        keys.fetch()


def test_slow_issuer_is_abandoned_in_time(monkeypatch):
    assert FETCH_SECONDS == 5, "requests wait for it"
    monkeypatch.setattr("videoconf.api.jwks.FETCH_SECONDS", 1.0)
    with FaultyServer() as server:
        server.on("/keys", drip_body(0.2))
        begin = time.monotonic()
        with pytest.raises(IssuerUnavailable):
            JwksKeys(server.url("/keys"), Settings().jwt_algorithms).find("k", "RS256")
        assert time.monotonic() - begin < 3


def test_issuer_that_does_not_answer_has_its_reason(monkeypatch):
    monkeypatch.setattr("videoconf.api.jwks.FETCH_SECONDS", 0.3)
    with FaultyServer() as server:
        server.on("/keys", hang())
        keys = JwksKeys(server.url("/keys"), Settings().jwt_algorithms)
        with pytest.raises(KeySetUnusable, match="does not answer in time"):
            keys.fetch()
    with pytest.raises(KeySetUnusable, match="cannot be reached"):
        keys.fetch()


def test_a_key_that_cannot_be_read_spoils_no_other(issuer, keys):
    issuer.add("damaged", n="")
    issuer.add("curve", "ES256", crv="P-384")
    issuer.add("k")
    assert keys.find("k", "RS256")
    assert not keys.find("damaged", "RS256")
    assert not keys.find("curve", "ES256")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"keys": 1}', b'{"keys": [{"kid": "k", "kty": "RSA"}]}'])
def test_a_key_set_that_cannot_be_read_changes_nothing(httpserver, body):
    httpserver.expect_request("/keys").respond_with_data(body)
    with pytest.raises(IssuerUnavailable):
        JwksKeys(httpserver.url_for("/keys"), Settings().jwt_algorithms).find("k", "RS256")


def test_a_key_set_without_measure_is_not_read(issuer, keys, stopwatch):
    issuer.add("k", x5c=["x" * MAX_BYTES])
    with pytest.raises(IssuerUnavailable):
        keys.find("k", "RS256")
    issuer.add("k", x5c=["x" * (MAX_BYTES // 2)])
    stopwatch.now += COOLDOWN_SECONDS
    assert keys.find("k", "RS256")


def test_plain_http_is_refused_outside_development():
    settings = {"jwt_jwks_url": "http://issuer.example/keys"}
    assert any("https" in fault for fault in auth_faults(Settings(**settings)))
    assert auth_faults(Settings(**settings, development=True)) == []
    assert auth_faults(Settings(jwt_jwks_url="https://issuer.example/keys")) == []


# --- through the service --------------------------------------------------------------------------------------------


@pytest.fixture
def call(issuer, make_app):
    app = make_app(
        jwt_secrets=(),
        jwt_jwks_url=issuer.url,
        development=True,
        jwt_permissions_claim=("realm_access.roles",),
        jwt_tenant_claim="org.id",
    )
    client = app.test_client()

    def get(key_id, **claims):
        now = int(time.time())
        standard = {"sub": "s", "iat": now, "exp": now + 60, "iss": "videoconf", "aud": "videoconf"}
        roles = {"realm_access": {"roles": ["GetMeetings"]}, "org": {"id": "acme"}}
        token = issuer.sign(key_id, **{**standard, **roles, **claims})
        return client.get("/session", headers={"Authorization": f"Bearer {token}"})

    return get


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_service_accepts_issuer_tokens_with_nested_claims(issuer, call):
    for algorithm in KINDS:
        issuer.add(algorithm, algorithm)
    assert {call(algorithm).status_code for algorithm in KINDS} == {200}
    assert call("RS256", realm_access={"roles": []}).status_code == 403
    assert call("RS256", realm_access=[]).status_code == 401
    assert call("RS256", iss="other").status_code == 401


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_issuer_that_was_never_reached_answers_503(issuer, call):
    issuer.add("k")
    issuer.is_up = False
    away = call("k")
    assert (away.status_code, away.json["code"]) == (503, "issuer_unavailable")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_verified_token_of_a_withdrawn_key_stops_verifying(issuer, call, monkeypatch):
    issuer.add("k")
    issuer.add("k2")
    assert call("k").status_code == 200
    _, private, public = issuer.keys.pop("k")
    monkeypatch.setattr("videoconf.api.jwks.REFRESH_SECONDS", 0.0)
    assert call("k2").status_code == 200
    issuer.keys["k"] = ("RS256", private, {**public, "use": "enc"})
    assert call("k").status_code == 401


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_known_tokens_alone_reveal_a_withdrawn_key(issuer, call, monkeypatch):
    issuer.add("k")
    issuer.add("k2")
    now = int(time.time())
    same = {"iat": now, "exp": now + 600}
    assert call("k", **same).status_code == 200
    _, private, public = issuer.keys["k"]
    issuer.keys["k"] = ("RS256", private, {**public, "use": "enc"})
    monkeypatch.setattr("videoconf.api.jwks.REFRESH_SECONDS", 0.0)
    assert call("k", **same).status_code == 401
