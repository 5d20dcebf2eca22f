"""What operators write about a container, and the addresses and URLs that follow from it."""

import base64
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from marshmallow import ValidationError

from videoconf.errors import StorageEndpointRefused
from videoconf.storage import EndpointGuard, StorageContext
from videoconf_azure.configuration import ENDPOINT_SUFFIXES, AzureConfiguration, AzureSettings
from videoconf_azure.target import AzureTarget

RIGHT = {"container": "recordings", "accountName": "acme", "accountKey": "a2V5"}
NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def loaded(**changes):
    return AzureConfiguration().load({**RIGHT, **changes})


def opened(development=False, **changes):
    guard = EndpointGuard(AzureTarget.hosts, development=development)
    return AzureTarget(loaded(**changes), StorageContext(lambda: NOW, guard))


ACCEPTED = [
    ("container", "abc"),
    ("container", "a-1-b"),
    ("container", "a" * 63),
    ("accountName", "abc"),
    ("accountName", "a1" * 12),
    ("accountKey", "a2V5"),
    ("accountKey", "a+/="),
    ("accountKey", "YQ=="),
    ("accountKey", "A" * 512),
    ("domain", "localhost"),
    ("domain", "[::1]:10000"),
    ("domain", f"{'a' * 251}.com"),
    ("domain", "blob.example:65535"),
    ("fallback", "none"),
    ("fallback", "provider"),
]
REFUSED = [
    ("container", "ab"),
    ("container", "a" * 64),
    ("container", "a--b"),
    ("container", "-abc"),
    ("container", "abc-"),
    ("container", "Abc"),
    ("container", "abc\n"),
    ("accountName", "ab"),
    ("accountName", "a" * 25),
    ("accountName", "Acme"),
    ("accountName", "acme\n"),
    ("accountKey", "abc"),
    ("accountKey", "A" * 516),
    ("accountKey", "abcde"),
    ("accountKey", "a==="),
    ("accountKey", "a_-="),
    ("accountKey", "a2V5\n"),
    ("domain", f"{'a' * 252}.com"),
    ("domain", "blob.example/x"),
    ("domain", "blob.example\n"),
    ("domain", ""),
    ("domain", ":443"),
    ("domain", "blob.example:0"),
    ("domain", "blob.example:65536"),
    ("domain", "[::1"),
    ("fallback", "vendor"),
]


@pytest.mark.parametrize(("field", "value"), ACCEPTED)
def test_valid_field_is_accepted(field, value):
    assert loaded(**{field: value})


@pytest.mark.parametrize(("field", "value"), REFUSED)
def test_invalid_field_is_refused_by_its_name(field, value):
    with pytest.raises(ValidationError) as raised:
        loaded(**{field: value})
    assert raised.value.messages.keys() == {field}


@pytest.mark.parametrize("field", RIGHT)
def test_missing_field_is_refused(field):
    with pytest.raises(ValidationError) as raised:
        AzureConfiguration().load({name: value for name, value in RIGHT.items() if name != field})
    assert raised.value.messages.keys() == {field}


def test_default_is_the_public_cloud_without_a_fallback():
    assert loaded() == {
        "container": "recordings",
        "account_name": "acme",
        "account_key": "a2V5",
        "domain": "blob.core.windows.net",
        "fallback": "none",
    }


def test_names_on_the_wire_stay():
    assert (AzureTarget.key, AzureTarget.wire_name) == ("azure", "AZURE")
    assert AzureTarget.secret_fields == frozenset({"account_key"})


def test_settings_of_the_service_are_empty_unless_set():
    settings = AzureSettings()
    assert (settings.account_name, settings.account_key.reveal()) == ("", "")


@pytest.mark.parametrize("suffix", ENDPOINT_SUFFIXES)
def test_every_cloud_of_the_vendor_is_allowed(suffix):
    target = opened(domain=suffix)
    assert target.signed_url("a/b", expires_in_seconds=60).url.startswith(f"https://acme.blob.{suffix}/recordings/a/b?")
    target.close()


@pytest.mark.parametrize("domain", ["localhost", "127.0.0.1", "127.0.0.1:10000", "[::1]", "[::1]:10000"])
def test_account_on_this_machine_is_a_path(domain):
    target = opened(development=True, domain=domain)
    assert target.signed_url("a/b", expires_in_seconds=60).url.startswith(f"http://{domain}/acme/recordings/a/b?")
    target.close()


@pytest.mark.parametrize("domain", ["blob.core.windows.net.example", "example.net", "blob.core.windows.net:8443"])
def test_other_hosts_are_refused(domain):
    with pytest.raises(StorageEndpointRefused):
        opened(domain=domain)


@pytest.mark.parametrize(
    ("changes", "protocols"),
    [({}, "https"), ({"domain": "127.0.0.1:10000"}, "https,http")],
    ids=["vendor", "this machine"],
)
def test_signed_url_is_valid_by_https_alone(changes, protocols):
    """A server on this machine, in development, is reached by plain HTTP."""
    target = opened(development=True, **changes)
    signed = target.signed_url("a/b", expires_in_seconds=60)
    query = parse_qs(urlsplit(signed.url).query)
    assert query["spr"] == [protocols]
    assert query["sp"] == ["r"]
    assert query["se"] == ["2026-05-04T12:01:00Z"]
    assert base64.b64decode(query["sig"][0], validate=True)
    target.close()
