"""The fields take exactly what they say."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from marshmallow import ValidationError, fields
from marshmallow.validate import OneOf

from videoconf.api.fields import JsonObject, Schema, StrictBoolean, StrictInteger, Text, UtcTime
from videoconf.formats import KEPT_PATTERN, NOT_KEPT

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
ANYTHING = JSON | st.text(st.characters()) | st.binary() | st.dates()
FIELDS: dict[str, fields.Field[Any]] = {
    "text": Text(max_length=5),
    "time": UtcTime(),
    "boolean": StrictBoolean(),
    "integer": StrictInteger(),
    "object": JsonObject(max_bytes=64),
}
TYPES = {"text": str, "time": datetime, "boolean": bool, "integer": int, "object": dict}


@pytest.mark.parametrize("name", FIELDS)
@given(value=ANYTHING.filter(lambda value: value is not None))
def test_any_value_gives_the_type_or_a_validation_error(name: str, value: Any) -> None:
    try:
        loaded = FIELDS[name].deserialize(value)
    except ValidationError:
        return
    assert type(loaded) is TYPES[name]
    assert name == "time" or loaded == value  # nothing is converted


# --- text -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["", " ", " a ", "tab\tline\n", "e\u0301", "\u00e9", "👩‍👧", "\u202e", "\uffff", "12345"]
)
def test_a_text_is_stored_exactly(value: str) -> None:
    assert Text(max_length=10).deserialize(value) == value


@pytest.mark.parametrize("value", ["\0", "a\0b", "\r\n", "\x1b[0m", "\x0b", "\x1f", "\ud800", "a\udfff"])
def test_control_characters_and_surrogates_are_refused(value: str) -> None:
    with pytest.raises(ValidationError, match="Control characters"):
        Text(max_length=10).deserialize(value)


def test_length_is_in_code_points() -> None:
    assert Text(max_length=3).deserialize("👩‍👧") == "👩‍👧"
    with pytest.raises(ValidationError, match="maximum length 2"):
        Text(max_length=2).deserialize("👩‍👧")
    with pytest.raises(ValidationError, match="Length must be between 1 and 2"):
        Text(max_length=2, min_length=1).deserialize("")


def test_text_field_accepts_further_validators() -> None:
    for validator in (OneOf(["a"]), [OneOf(["a"])]):
        field = Text(max_length=2, validate=validator)
        assert field.deserialize("a") == "a"
        for refused in ("b", "aaa"):
            with pytest.raises(ValidationError):
                field.deserialize(refused)


# --- time -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ("2030-01-31T09:30:00Z", "2030-01-31T09:30:00Z"),
        ("2030-01-31t09:30:00z", "2030-01-31T09:30:00Z"),
        ("2030-01-31 09:30:00Z", "2030-01-31T09:30:00Z"),
        ("2030-01-31T09:30:00+00:00", "2030-01-31T09:30:00Z"),
        ("2030-01-31T09:30:00-00:00", "2030-01-31T09:30:00Z"),
        ("2030-01-31T00:30:00+05:30", "2030-01-30T19:00:00Z"),
        ("2030-12-31T23:30:00-01:00", "2031-01-01T00:30:00Z"),
        ("2030-01-31T09:30:00.5Z", "2030-01-31T09:30:00.500000Z"),
        ("2030-01-31T09:30:00.000000Z", "2030-01-31T09:30:00Z"),
        ("2030-01-31T09:30:00.000001Z", "2030-01-31T09:30:00.000001Z"),
        ("2030-01-31T09:30:00.123456789Z", "2030-01-31T09:30:00.123456Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ("2200-12-31T23:59:59Z", "2200-12-31T23:59:59Z"),
    ],
)
def test_time_is_loaded_and_answered_in_utc(sent: str, answered: str) -> None:
    loaded = UtcTime().deserialize(sent)
    assert loaded.utcoffset() == timedelta(0)
    assert UtcTime().serialize("at", {"at": loaded}) == answered


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ("2030-01-31T09:30:00", "offset"),
        ("2030-01-31T09:30:00.5", "offset"),
        ("2030-01-31", "RFC 3339"),
        ("2030-01-31T09:30Z", "RFC 3339"),
        ("2030-01-31T09:30:00+0200", "RFC 3339"),
        ("2030-01-31T09:30:00 Z", "RFC 3339"),
        (" 2030-01-31T09:30:00Z", "RFC 3339"),
        ("2030-01-31T09:30:00Z\n", "RFC 3339"),
        ("２０３０-01-31T09:30:00Z", "RFC 3339"),
        ("20300131T093000Z", "RFC 3339"),
        ("2030-W05-4T09:30:00Z", "RFC 3339"),
        ("+2030-01-31T09:30:00Z", "RFC 3339"),
        ("", "RFC 3339"),
        ("now", "RFC 3339"),
        (1900000000, "RFC 3339"),
        (1.5, "RFC 3339"),
        (True, "RFC 3339"),
        ([], "RFC 3339"),
        ("2030-02-30T09:30:00Z", "does not exist"),
        ("2030-13-01T09:30:00Z", "does not exist"),
        ("2030-01-31T25:00:00Z", "does not exist"),
        ("2030-01-31T23:59:60Z", "does not exist"),
        ("2030-01-31T09:30:00+24:00", "RFC 3339"),
        ("2030-01-31T09:30:00+02:60", "RFC 3339"),
        ("0000-01-01T00:00:00Z", "does not exist"),
        ("0001-01-01T00:00:00+14:00", "year"),
        ("1969-12-31T23:59:59Z", "year"),
        ("1970-01-01T00:00:00+00:01", "year"),
        ("2200-12-31T23:59:59-00:01", "year"),
        ("9999-12-31T23:59:59-14:00", "year"),
    ],
)
def test_invalid_time_is_refused(sent: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        UtcTime().deserialize(sent)


SPELT = st.from_regex(
    r"\A[0-9]{4}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?\Z"
)


@given(st.text(st.characters()) | SPELT)
@example("2030-01-31T09:30:00.1234567891Z")
def test_any_text_gives_a_time_or_a_validation_error(sent: str) -> None:
    try:
        loaded = UtcTime().deserialize(sent)
    except ValidationError:
        return
    assert datetime(1970, 1, 1, tzinfo=UTC) <= loaded < datetime(2201, 1, 1, tzinfo=UTC)


@given(
    st.datetimes(
        datetime(1971, 1, 1),
        datetime(2200, 1, 1),
        timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    )
)
def test_a_time_that_is_read_and_sent_back_is_the_same(at: datetime) -> None:
    answered = UtcTime().serialize("at", {"at": at})
    assert answered.endswith("Z")
    assert UtcTime().deserialize(answered) == at


def test_a_naive_time_is_never_answered() -> None:
    with pytest.raises(ValueError, match="naive"):
        UtcTime().serialize("at", {"at": datetime(2030, 1, 1)})
    assert UtcTime().serialize("at", {"at": None}) is None


# --- booleans, integers, objects ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, 1, 1.0, "true", "false", "on", "1", "", [], {}])
def test_value_that_resembles_a_boolean_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError, match="true or false"):
        StrictBoolean().deserialize(value)


@pytest.mark.parametrize("value", [True, False, 1.0, 1.5, "1", "", [], {}])
def test_value_that_resembles_an_integer_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError, match="integer"):
        StrictInteger().deserialize(value)


def test_an_objects_size_is_in_bytes_of_compact_utf8() -> None:
    fitting = {"a": "é" * 4}
    assert len(json.dumps(fitting, ensure_ascii=False, separators=(",", ":")).encode()) == 16
    assert JsonObject(max_bytes=16).deserialize(fitting) == fitting
    with pytest.raises(ValidationError, match="at most 15 bytes"):
        JsonObject(max_bytes=15).deserialize(fitting)
    with pytest.raises(ValidationError, match="at most 16384 bytes"):
        JsonObject().deserialize({"a": "x" * 16384})


@pytest.mark.parametrize("value", [[], "{}", 1, True, [["a", 1]]])
def test_value_other_than_an_object_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError, match="object"):
        JsonObject().deserialize(value)


# --- schema ---------------------------------------------------------------------------------------------------------


class InnerSchema(Schema):
    at_once = StrictBoolean()


class OuterSchema(Schema):
    ext_id = Text(max_length=5, allow_none=True)
    end_to_end_encryption = StrictBoolean(required=True)
    expires_at = UtcTime(data_key="expireTime")
    inner_part = fields.Nested(InnerSchema)


def test_names_are_camel_case_outside() -> None:
    sent = {
        "extId": None,
        "endToEndEncryption": True,
        "expireTime": "2030-01-01T00:00:00Z",
        "innerPart": {"atOnce": True},
    }
    loaded = OuterSchema().load(sent)
    assert loaded.keys() == {"ext_id", "end_to_end_encryption", "expires_at", "inner_part"}
    assert OuterSchema().dump(loaded) == sent


@pytest.mark.parametrize(
    ("sent", "errors"),
    [
        ({"endToEndEncryption": True, "x": 1}, {"x": ["Unknown field."]}),
        (
            {"end_to_end_encryption": True, "endToEndEncryption": True},
            {"end_to_end_encryption": ["Unknown field. Did you mean endToEndEncryption?"]},
        ),
        ({"endToEndEncryption": True, "innerPart": {"y": 1}}, {"innerPart": {"y": ["Unknown field."]}}),
        ({}, {"endToEndEncryption": ["Missing data for required field."]}),
    ],
)
def test_unknown_and_missing_members_are_named_as_sent(sent: dict[str, Any], errors: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as raised:
        OuterSchema().load(sent)
    assert raised.value.messages == errors


def test_the_document_says_which_characters_are_kept() -> None:
    for code in (*range(0x200), 0x2028, 0xFFFD, 0xFFFF, 0x1F600):
        assert bool(re.fullmatch(KEPT_PATTERN, chr(code))) is not bool(NOT_KEPT.search(chr(code))), hex(code)
