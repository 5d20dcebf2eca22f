"""What a plugin raises and returns, before it reaches a caller."""

import math

import pytest

from videoconf.containment import is_fit, plain_json, plain_messages, words_of
from videoconf.errors import (
    CapabilityUnsupported,
    ConnectionNotFound,
    DatabaseUnavailable,
    InternalError,
    ProviderConflict,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RoleForbidden,
    StorageUnavailable,
    Unauthenticated,
    ValidationFailed,
    WebhookRejected,
)


class Speechless(BaseException):
    def __str__(self):
        raise SystemExit


class OfItsOwn(ProviderConflict):
    """A plugin's own, which says more about the outcome."""

    outcome_unknown = True


class Renamed(ProviderError):
    code = "a_code_that_no_client_knows"


class WithAStatus(ProviderError):
    status = 200


class WithCode(ProviderError):
    """Its parts are made when they are read."""

    @property
    def retry_after_seconds(self):
        raise SystemExit

    @retry_after_seconds.setter
    def retry_after_seconds(self, value):
        pass


FIT = [
    ProviderUnavailable(retry_after_seconds=2.5),
    OfItsOwn("half of it"),
    StorageUnavailable(),
    CapabilityUnsupported(),
    ValidationFailed(errors={"data": ["too long"]}),
]
UNFIT = [
    ConnectionNotFound(),
    Unauthenticated(),
    RoleForbidden(),
    RateLimited(),
    WebhookRejected("outside of verify_webhook"),
    DatabaseUnavailable(),
    InternalError(),
    Renamed(),
    WithAStatus(),
    WithCode(),
    ProviderError(b"bytes"),
    ProviderUnavailable(retry_after_seconds=math.nan),
    ProviderUnavailable(retry_after_seconds=math.inf),
    ProviderUnavailable(retry_after_seconds=1e300),
    ProviderUnavailable(retry_after_seconds="soon"),
    ProviderError(provider_status="500"),
    ProviderError(provider_message=object()),
    ValidationFailed(errors={"data": [object()]}),
    ValidationFailed(extra={"title": "another"}),
]


@pytest.mark.parametrize("error", FIT, ids=lambda error: type(error).__name__)
def test_error_of_a_plugins_part_is_fit(error):
    assert is_fit(error)


@pytest.mark.parametrize("error", UNFIT, ids=lambda error: type(error).__name__)
def test_other_error_is_not_fit_for_a_caller(error):
    assert not is_fit(error)


@pytest.mark.parametrize("value", [None, True, 7, 2**80, 0.5, "text", [1, {"a": []}], {"a": {"b": "c"}}])
def test_json_value_is_copied(value):
    assert plain_json(value) == value


def test_copy_does_not_change_with_the_original():
    original = {"servers": ["a"]}
    copied = plain_json(original)
    original["servers"].append("b")
    assert copied == {"servers": ["a"]}


@pytest.mark.parametrize(
    "value", [b"", object(), math.inf, {1: 2}, {"\ud800": 1}, "\x00", [{"a": {1, 2}}], [0] * 10_001], ids=range(8)
)
def test_value_that_is_not_json_is_refused(value):
    with pytest.raises(ValueError):
        plain_json(value)


def test_messages_of_a_list_are_under_numbers():
    assert plain_messages({"layout": {0: ["unknown"]}}) == {"layout": {"0": ["unknown"]}}


@pytest.mark.parametrize(
    "messages", [[], {"a": "text"}, {"a": [1]}, {b"a": ["x"]}, {"a": {"b": object()}}], ids=range(5)
)
def test_messages_other_than_lists_of_strings_are_refused(messages):
    with pytest.raises(ValueError):
        plain_messages(messages)


def test_error_that_cannot_be_printed_has_an_empty_text():
    assert words_of(Speechless()) == ""
    assert words_of(ValueError("plain")) == "plain"
