"""The fields of all schemas. Each accepts exactly its documented type: marshmallow's own fields convert other types."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import marshmallow
from marshmallow import ValidationError, fields
from marshmallow.validate import Length

from videoconf.formats import KEPT_PATTERN, NOT_KEPT, camel_case, utc_text
from videoconf.providers import Role
from videoconf.spelling import propose_fields

_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?(?P<offset>[Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)?",
    re.ASCII,
)
_YEARS = range(1970, 2201)


LINK_EXAMPLE = "pX3mJ5v0Qy2cZ1tB7kLw9A"
SESSION_EXAMPLE = "fs_5f2b7c19d0a84e63"


def documented(description: str, example: Any = None, **more: Any) -> dict[str, Any]:
    """Describe a field for the OpenAPI document."""
    return {"description": description, **({} if example is None else {"example": example}), **more}


class Schema(marshmallow.Schema):
    """The base of all schemas: unknown members are refused by name; ``snake_case`` fields are ``camelCase`` outside."""

    class Meta:
        unknown = marshmallow.RAISE

    def handle_error(self, error: ValidationError, data: Any, **kwargs: Any) -> None:
        """Add the nearest known name to each unknown one."""
        if isinstance(error.messages, dict):
            propose_fields(error.messages, self)

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        if field_obj.data_key is None:
            field_obj.data_key = camel_case(field_name)


class Text(fields.String):
    """A text, stored exactly as sent: not trimmed, and not normalised, since ids of other systems pass through here.

    Refused are control characters other than TAB and LF, and lone surrogates.

    :param max_length: in code points.
    """

    def __init__(self, *, max_length: int, min_length: int | None = None, **kwargs: Any) -> None:
        validators = [Length(min=min_length, max=max_length), *_listed(kwargs.pop("validate", None))]
        metadata = {"pattern": KEPT_PATTERN, **(kwargs.pop("metadata", None) or {})}
        super().__init__(validate=validators, metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        if NOT_KEPT.search(value):
            raise ValidationError("Control characters and lone surrogates are not taken.")
        return value


class UtcTime(fields.DateTime):
    """A time: RFC 3339 with any offset in, UTC with ``Z`` out. Microseconds are written only where there are any.

    Years are 1970 to 2200, so that no conversion between zones can overflow.
    """

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else utc_text(value)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValidationError("Not an RFC 3339 time, like 2030-01-31T09:30:00Z.")
        if match["offset"] is None:
            raise ValidationError("The time needs its offset from UTC: Z, or like +02:00.")
        try:
            parsed = datetime.fromisoformat(value.upper())
        except ValueError as error:
            raise ValidationError("This time does not exist.") from error
        if parsed.year not in _YEARS or (parsed := parsed.astimezone(UTC)).year not in _YEARS:
            raise ValidationError(f"The year must be from {_YEARS[0]} to {_YEARS[-1]}.")
        return parsed


class StrictBoolean(fields.Boolean):
    """``true`` or ``false`` and nothing that resembles them."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("Must be true or false.")
        return value


class StrictInteger(fields.Integer):
    """An integer, and neither a text nor a fraction."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValidationError("Must be an integer.")
        return value


class StrictNumber(fields.Float):
    """A finite number, and no text."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ValidationError("Must be a number.")
        return super()._deserialize(value, attr, data, **kwargs)


class MeetingRole(fields.Enum[Role]):
    """A role in a meeting, in any letter case."""

    def __init__(self) -> None:
        described = documented("In any letter case.")
        super().__init__(Role, by_value=fields.String, load_default=Role.PUBLISHER, metadata=described)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Role:
        return super()._deserialize(value.lower() if isinstance(value, str) else value, attr, data, **kwargs)


class JsonObject(fields.Dict):
    """Any JSON object, bounded in its size as compact UTF-8. That its content can be stored, the parser has seen to."""

    def __init__(self, *, max_bytes: int = 16 * 1024, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_bytes = max_bytes

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValidationError("Must be an object.")
        size_bytes = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
        if size_bytes > self.max_bytes:
            raise ValidationError(f"Must be at most {self.max_bytes} bytes of JSON; this is {size_bytes}.")
        return value


def _listed(validators: Any) -> list[Any]:
    if validators is None:
        return []
    return list(validators) if isinstance(validators, list | tuple) else [validators]
