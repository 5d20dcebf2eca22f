"""What the plugin relies on in Vonage's SDK beyond what it documents.

A test that fails after an upgrade names the release that the code was written for, and what to change.
"""

import jwt
import pytest
from opentok import Client, Roles

SESSION = "1_MX40NjEyMzQ1Nn5-MTc2NDQ4NjQwMDAwMH5hYmN-fg"
"""Holds the account 46123456."""


@pytest.mark.parametrize(("is_unified", "claim"), [(False, "iss"), (True, "application_id")])
def test_sdk_takes_its_environment_from_one_attribute(is_unified, claim, application_key):
    """Written for opentok 3.12. Its constructor chooses the environment only by the name of a key file.

    On failure: ``Credentials._sdk`` in tokens.py must choose the environment in another way. With the other environment
    the SDK signs tokens that no client can use.
    """
    client = Client("46123456", "")
    assert client._using_vonage is False
    client._using_vonage = is_unified
    client.api_secret = application_key if is_unified else "s" * 40
    token = client.generate_token(SESSION, Roles.publisher)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims[claim] == "46123456"
