"""An identity provider is asked for its keys as rarely as can be, whatever the tokens say and however it answers."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from jwt.algorithms import OKPAlgorithm
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from videoconf.api.jwks import COOLDOWN_SECONDS, REFRESH_SECONDS, JwksKeys
from videoconf.errors import IssuerUnavailable
from videoconf.settings import Settings

MOMENT = 0.001


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Issuer:
    """Publishes one key set, and counts how often it is asked."""

    def __init__(self, server: HTTPServer) -> None:
        self.asked, self.is_up, self.seconds = 0, True, 0.0
        self.keys = {"known": self.make()}
        server.expect_request("/keys", method="GET").respond_with_handler(self.answer)
        self.url = server.url_for("/keys")

    def make(self, **members: str) -> dict[str, str]:
        public = ed25519.Ed25519PrivateKey.generate().public_key()
        return {**OKPAlgorithm.to_jwk(public, as_dict=True), "use": "sig", **members}

    def answer(self, request: Request) -> Response:
        self.asked += 1
        time.sleep(self.seconds)
        entries = [{**key, "kid": id} for id, key in self.keys.items()]
        return Response(json.dumps({"keys": entries}), 200 if self.is_up else 503)


@pytest.fixture
def issuer(httpserver: HTTPServer) -> Issuer:
    return Issuer(httpserver)


@pytest.fixture
def stopwatch() -> Clock:
    return Clock()


@pytest.fixture
def keys(issuer: Issuer, stopwatch: Clock) -> JwksKeys:
    return JwksKeys(issuer.url, Settings().jwt_algorithms, clock=stopwatch)


def test_known_key_asks_when_keys_are_old(issuer: Issuer, keys: JwksKeys, stopwatch: Clock) -> None:
    assert keys.find("known", "EdDSA")
    stopwatch.now += 300 - MOMENT
    assert keys.find("known", "EdDSA")
    assert issuer.asked == 1
    stopwatch.now += MOMENT
    assert keys.find("known", "EdDSA")
    assert issuer.asked == 2


def test_unknown_key_asks_after_cooldown(issuer: Issuer, keys: JwksKeys, stopwatch: Clock) -> None:
    keys.find("known", "EdDSA")
    stopwatch.now += 30 - MOMENT
    assert not keys.find("new", "EdDSA")
    assert issuer.asked == 1
    issuer.keys["new"] = issuer.make()
    stopwatch.now += MOMENT
    assert keys.find("new", "EdDSA")
    assert issuer.asked == 2


def test_known_key_does_not_ask_after_cooldown(issuer: Issuer, keys: JwksKeys, stopwatch: Clock) -> None:
    keys.find("known", "EdDSA")
    stopwatch.now += COOLDOWN_SECONDS + 1
    assert keys.find("known", "EdDSA")
    assert not keys.find("known", "RS256"), "it verifies its own algorithm alone"
    assert issuer.asked == 1


def test_cooldown_begins_with_each_question(issuer: Issuer, keys: JwksKeys, stopwatch: Clock) -> None:
    for seconds in (0, COOLDOWN_SECONDS, COOLDOWN_SECONDS - 1, 1):
        stopwatch.now += seconds
        assert not keys.find("unknown", "EdDSA")
    assert issuer.asked == 3


def test_refresh_asks_when_keys_are_old(issuer: Issuer, keys: JwksKeys, stopwatch: Clock) -> None:
    keys.refresh_if_due()
    assert issuer.asked == 1
    for seconds, asked in ((REFRESH_SECONDS - MOMENT, 1), (MOMENT, 2), (0, 2), (REFRESH_SECONDS + 1, 3)):
        stopwatch.now += seconds
        keys.refresh_if_due()
        assert issuer.asked == asked


def test_issuer_that_is_down_is_asked_once_a_cooldown(issuer: Issuer, keys: JwksKeys, stopwatch: Clock) -> None:
    issuer.is_up = False
    for seconds, asked in ((0, 1), (COOLDOWN_SECONDS - 1, 1), (1, 2)):
        stopwatch.now += seconds
        with pytest.raises(IssuerUnavailable):
            keys.find("known", "EdDSA")
        assert issuer.asked == asked, "and a failure is not repeated at once"


def test_concurrent_threads_ask_once(issuer: Issuer, keys: JwksKeys) -> None:
    issuer.seconds = 0.3
    start = threading.Barrier(8)

    def find(_: int) -> bool:
        start.wait()
        return bool(keys.find("known", "EdDSA"))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(find, range(8))) == [True] * 8
    assert issuer.asked == 1


def test_others_go_on_while_one_asks(issuer: Issuer, keys: JwksKeys, stopwatch: Clock) -> None:
    keys.find("known", "EdDSA")
    issuer.seconds = 1.5
    stopwatch.now += REFRESH_SECONDS
    asking = threading.Thread(target=keys.find, args=("known", "EdDSA"))
    asking.start()
    give_up_at = time.monotonic() + 5
    while issuer.asked < 2 and time.monotonic() < give_up_at:
        time.sleep(0.01)
    begin = time.monotonic()
    assert keys.find("known", "EdDSA")
    assert not keys.find("unknown", "EdDSA")
    assert time.monotonic() - begin < 1
    asking.join()
    assert issuer.asked == 2


def test_same_keys_do_not_change_the_generation(issuer: Issuer, keys: JwksKeys, stopwatch: Clock) -> None:
    for _ in range(3):
        keys.find("known", "EdDSA")
        stopwatch.now += REFRESH_SECONDS
    assert keys.generation == 1
    issuer.keys["known"] = issuer.make()
    keys.find("known", "EdDSA")
    assert keys.generation == 2


def test_failure_after_success_keeps_keys(issuer: Issuer, keys: JwksKeys, stopwatch: Clock) -> None:
    keys.find("known", "EdDSA")
    issuer.is_up = False
    stopwatch.now += REFRESH_SECONDS
    assert keys.find("known", "EdDSA")
    assert not keys.find("unknown", "EdDSA")
    assert issuer.asked == 2


def test_keys_that_do_not_sign_are_left_out(issuer: Issuer, keys: JwksKeys) -> None:
    issuer.keys |= {
        "encrypts": issuer.make(use="enc"),
        "other algorithm": issuer.make(alg="RS256"),
        "own algorithm": issuer.make(alg="EdDSA"),
        "other type": issuer.make(kty="oct"),
        "no use": {name: value for name, value in issuer.make().items() if name != "use"},
    }
    found = {id for id in issuer.keys if keys.find(id, "EdDSA")}
    assert found == {"known", "own algorithm", "no use"}
    assert issuer.asked == 1
