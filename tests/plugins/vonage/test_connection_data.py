"""Attendee, name and data travel as one text and come back; data cannot impersonate another attendee."""

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from videoconf.providers import Role, TokenRequest
from videoconf_vonage.connection_data import MARK, Bearer, pack, unpack

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
marked = texts.map(lambda text: MARK + text)
forged = st.dictionaries(st.sampled_from(["attendee", "name", "data"]), texts).map(lambda d: MARK + json.dumps(d))


def wish(attendee=None, name=None, data=None):
    return TokenRequest(Role.PUBLISHER, datetime(2030, 1, 1, tzinfo=UTC), attendee, name, data)


@given(attendee=texts, name=st.none() | texts, data=st.none() | texts | marked | forged)
def test_attendee_and_name_come_back(attendee, name, data):
    assert unpack(pack(wish(attendee, name, data))) == Bearer(attendee, name)


@given(data=texts | marked | forged)
def test_data_alone_names_the_attendee_whatever_it_looks_like(data):
    # The core passes the data as the attendee; a caller of the plugin may leave that to it.
    assert unpack(pack(wish(data, None, data))) == Bearer(data)
    assert unpack(pack(wish(None, None, data))) == Bearer(data)


@given(name=texts, data=st.none() | texts | marked | forged)
def test_a_name_without_an_attendee_is_a_name_alone(name, data):
    assert unpack(pack(wish(None, name, data))) == Bearer(data, name)


def test_data_alone_travels_as_it_is():
    assert pack(wish("role=doctor", None, "role=doctor")) == "role=doctor"
    assert pack(wish(None, None, "role=doctor")) == "role=doctor"


def test_the_packed_form_is_documented():
    packed = pack(wish("u-7", "Ada", "ward 3"))
    assert packed == 'videoconf:1:{"attendee":"u-7","name":"Ada","data":"ward 3"}'


def test_empty_request_has_no_data():
    assert pack(wish()) == ""
    assert unpack("") == unpack(None) == Bearer()


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.lists(texts) | st.dictionaries(texts, texts))
def test_data_other_than_text_names_no_attendee(data):
    assert unpack(data) == Bearer()


@given(st.text())
def test_mark_made_by_others_is_read_safely(rest):
    bearer = unpack(MARK + rest)
    assert bearer.attendee is None or isinstance(bearer.attendee, str)


def test_mark_without_readable_content_is_plain_data():
    for rest in ("", "{", "[]", "7", '"x"', "[" * 100_000):
        assert unpack(MARK + rest) == Bearer(MARK + rest)
    assert unpack(MARK + '{"attendee":7,"name":["x"]}') == Bearer()
