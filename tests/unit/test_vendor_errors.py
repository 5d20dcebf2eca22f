"""Errors that a plugin reads in its vendor's own format, and answers that may be larger than usual."""

import json

import pytest

from videoconf.breaker import BreakerState
from videoconf.errors import (
    ProviderBadResponse,
    ProviderBusy,
    ProviderConflict,
    ProviderRejected,
    ProviderResourceNotFound,
    ProviderTimeout,
)
from videoconf.providers import GuardedClient, VendorError
from videoconf.testing import FaultyServer
from videoconf.testing.faulty_server import reply

SECRET = "canary-of-the-vendor-error"
CALLS_UNTIL_OPEN = 40


@pytest.fixture
def server():
    with FaultyServer() as server:
        yield server


@pytest.fixture
def client():
    client = GuardedClient(provider="fake", account="key-1")
    yield client
    client.close()


def call(client, server, read_error=None, **how):
    how = {"operation": "test", "idempotent": False, "headers": {"Authorization": SECRET}, **how}
    return client.request("POST", server.url("/call"), read_error=read_error, **how)


def test_vendor_error_decides_class_code_and_message(client, server):
    server.on("/call", reply(412, b'{"msg": "no such precondition"}'))

    def read(answer):
        return VendorError(ProviderConflict, "failed_precondition", answer.json()["msg"])

    with pytest.raises(ProviderConflict) as raised:
        call(client, server, read)
    error = raised.value
    found = (error.provider_status, error.provider_code, error.provider_message)
    assert found == (412, "failed_precondition", "no such precondition")


def test_error_in_a_successful_answer_is_raised(client, server):
    server.on("/call", reply(200, b'{"error": {"code": 458}}'))
    with pytest.raises(ProviderResourceNotFound) as raised:
        call(client, server, lambda answer: VendorError(ProviderResourceNotFound, "458"))
    assert raised.value.provider_status == 200


def test_status_decides_where_the_plugin_reads_no_error(client, server):
    server.on("/call", reply(409), reply(200, b"{}"))
    with pytest.raises(ProviderConflict):
        call(client, server, lambda answer: None)
    assert call(client, server, lambda answer: None).status == 200


def test_status_decides_where_the_plugin_names_no_class(client, server):
    server.on("/call", reply(404))
    with pytest.raises(ProviderResourceNotFound) as raised:
        call(client, server, lambda answer: VendorError(None, "gone", "It is gone."))
    assert (raised.value.provider_code, raised.value.provider_message) == ("gone", "It is gone.")


def test_accepted_status_is_not_read_for_errors(client, server):
    server.on("/call", reply(404))
    read = pytest.fail
    assert call(client, server, read, accept=(404,)).status == 404


def test_vendor_message_does_not_repeat_the_request(client, server):
    server.on("/call", reply(400))

    def read(answer):
        return VendorError(ProviderRejected, SECRET, f"refused {SECRET} with {json.dumps({'key': 'body-canary'})}")

    with pytest.raises(ProviderRejected) as raised:
        call(client, server, read, json={"key": "body-canary"})
    assert SECRET not in str(vars(raised.value))
    assert "body-canary" not in str(vars(raised.value))


def test_vendor_error_is_retried_by_its_class(client, server):
    server.on("/call", reply(408), reply(200, b"{}"))

    def read(answer):
        return VendorError(ProviderTimeout) if answer.status == 408 else None

    assert call(client, server, read, idempotent=True).status == 200
    server.on("/call", reply(503))
    sent = server.count("/call")
    with pytest.raises(ProviderResourceNotFound):
        call(client, server, lambda answer: VendorError(ProviderResourceNotFound), idempotent=True)
    assert server.count("/call") == sent + 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (503, ProviderResourceNotFound),
        (503, ProviderConflict),
        (503, ProviderRejected),
        (503, ProviderBusy),
        (408, ProviderTimeout),
    ],
)
def test_answered_refusals_leave_the_breaker_closed(client, server, status, error):
    server.on("/call", reply(status))
    for _ in range(CALLS_UNTIL_OPEN):
        with pytest.raises(error):
            call(client, server, lambda answer: VendorError(error))
    assert client.state.breaker is BreakerState.CLOSED


def test_one_call_may_have_a_larger_answer(server):
    client = GuardedClient(provider="fake", account="key-1", answer_cap_bytes=10)
    server.on("/call", reply(200, b"x" * 20))
    with pytest.raises(ProviderBadResponse):
        call(client, server)
    assert len(call(client, server, answer_cap_bytes=20).body) == 20
    client.close()
