"""What the service signs: the forms that Janus and coturn read, and the statement of identity that it reads itself."""

import json
from base64 import urlsafe_b64decode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from videoconf.providers import Role, Secret, TokenRequest
from videoconf_janus.tokens import (
    LONGEST_STATEMENT,
    Identity,
    derived_key,
    new_id_prefix,
    read_identity,
    room_token,
    session_token,
    sign_identity,
    turn_password,
)

AT = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
SECOND = int(AT.timestamp())
KEY = derived_key(Secret("a-room-key-of-the-service"), "identity")
ANN = TokenRequest(Role.PUBLISHER, AT, "ann", name="Ann", data="from the caller")


def signed(request=ANN, *, prefix="a1b2", room="m1", key=KEY):
    return sign_identity(prefix, room, request, SECOND, key)


def test_tokens_have_the_form_that_janus_reads():
    secret = Secret("token-auth-secret")
    assert session_token("m1", SECOND, secret) == (
        "1777896000,janus,janus.plugin.videoroom,room=m1:jkPxDkCHkzwVRIPkRSs/AfXzIb0="
    )
    assert room_token("m1", SECOND, secret) == (
        "1777896000,janus.plugin.videoroom,room=m1:7Jd2KRxjzmddbpr11Lh1Gx4+xHA="
    )


def test_turn_password_has_the_form_that_coturn_reads():
    assert turn_password("1777896000:a1b2", Secret("turn-secret")) == "iXKG0pokvWBh5rkduiS7fsyeMg4="


def test_each_purpose_has_a_key_of_its_own():
    key = Secret("a-room-key-of-the-service")
    assert derived_key(key, "identity") == "1c4224785db8656597b135a6f84e4ec042e4fe7f629cd181215a1a22af62dbf8"
    assert derived_key(key, "room:m1") != derived_key(key, "room:m2")


def test_each_client_has_a_prefix_of_its_own():
    prefixes = {new_id_prefix() for _ in range(100)}
    assert len(prefixes) == 100
    assert {len(one) for one in prefixes} == {16}


def test_statement_names_its_client():
    assert read_identity(signed(), "m1", AT, KEY) == Identity("a1b2", "ann", "Ann")
    anonymous = replace(ANN, attendee=None, name=None)
    assert read_identity(signed(anonymous), "m1", AT, KEY) == Identity("a1b2", None, None)


@pytest.mark.parametrize(
    ("request_", "members"),
    [
        (ANN, {"attendee": "ann", "name": "Ann", "data": "from the caller"}),
        (replace(ANN, data="ann"), {"attendee": "ann", "name": "Ann"}),
        (replace(ANN, attendee=None, name="", data=None), {"name": ""}),
        (replace(ANN, name="Zoë", data=None), {"attendee": "ann", "name": "Zoë"}),
    ],
    ids=["all", "data that repeats the attendee", "empty name", "not ASCII"],
)
def test_statement_holds_the_known_members(request_, members):
    mark, payload, _ = signed(request_).split(".")
    said = urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode()
    assert (mark, json.loads(said)) == ("vc1", {"id": "a1b2", "room": "m1", "exp": SECOND, **members})
    assert " " not in said.replace("from the caller", "")
    assert "\\u" not in said


def test_statement_holds_until_its_second_is_over():
    assert read_identity(signed(), "m1", AT, KEY) is not None
    assert read_identity(signed(), "m1", AT + timedelta(seconds=1), KEY) is None


@pytest.mark.parametrize("size", range(1, 5))
def test_statement_of_any_length_is_read(size):
    """base64url leaves out up to two characters at the end."""
    request = replace(ANN, name="n" * size)
    assert read_identity(signed(request), "m1", AT, KEY) == Identity("a1b2", "ann", "n" * size)


def filled(length):
    """Sign a statement of a length."""
    request = replace(ANN, data="")
    while len(statement := signed(request)) < length:
        request = replace(request, data="x" * (len(request.data) + max(1, (length - len(statement)) * 3 // 4 - 3)))
    return statement


def test_longer_statement_than_allowed_is_not_read():
    longest = filled(LONGEST_STATEMENT)
    assert len(longest) == LONGEST_STATEMENT
    assert read_identity(longest, "m1", AT, KEY) is not None
    longer = filled(LONGEST_STATEMENT + 1)
    assert read_identity(longer, "m1", AT, KEY) is None


@pytest.mark.parametrize(
    "statement",
    [
        None,
        17,
        b"vc1..",
        "",
        "vc1",
        "vc1..",
        signed().replace("vc1.", "vc2."),
        signed()[:-1],
        signed() + "x",
        signed() + "é",
        signed() + "\ud800",
        signed(key="another"),
        signed(room="m2"),
    ],
    ids=str,
)
def test_any_other_statement_says_nothing(statement):
    assert read_identity(statement, "m1", AT, KEY) is None
