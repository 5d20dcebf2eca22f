"""By what an address counts, and how often it may be refused."""

import pytest

from videoconf.api.refusals import network_of
from videoconf.configuration import declared
from videoconf.settings import Settings


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_network_of_an_address(address, network):
    assert network_of(address) == network


def test_limit_is_on_by_default():
    assert next(one.default for one in declared(Settings) if one.field == "rate_limit_address") == "120/minute"
