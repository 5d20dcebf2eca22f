"""How settings are declared, and read from the environment.

A setting is a field of a frozen dataclass, made by :func:`setting`; its variable is the prefix and the field's name in
capitals (``database_url`` is ``VIDEOCONF_DATABASE_URL``), and ``…_FILE`` names a file that holds the value. The
service's settings are :class:`videoconf.settings.Settings`; plugins declare theirs in the same way under
``VIDEOCONF_<KEY>_``. :func:`load` reads one such class, reports every fault at once, and never repeats a value, so that
no secret reaches a log by way of an error.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from math import isfinite
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from videoconf.errors import ConfigurationError
from videoconf.secret import Secret
from videoconf.variables import UnreadableValue, find_value, is_quoted, items_of

PREFIX = "VIDEOCONF_"

T = TypeVar("T")


def setting(
    help: str,
    *,
    default: Any = dataclasses.MISSING,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Iterable[str] | None = None,
    parse: Callable[[str], str] = str,
) -> Any:
    """Declare a setting as a dataclass field. Its type is the field's annotation; without a default it is required.

    Types: ``str``, ``int``, ``float``, ``bool``, :class:`Secret`, tuples of ``str`` or ``Secret`` (comma-separated in
    the environment), and any of these or None.

    :param parse: makes of a ``str`` the value that is meant, or raises marshmallow's ``ValidationError``.
    """
    bounds = (minimum, maximum)
    metadata = {"help": help, "bounds": bounds, "choices": tuple(choices or ()), "parse": parse}
    return dataclasses.field(default=default, kw_only=True, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Declared:
    """One declared setting, as documentation and checks see it."""

    variable: str
    field: str
    type: Any
    default: Any
    required: bool
    secret: bool
    help: str
    choices: tuple[str, ...]
    bounds: tuple[float | None, float | None]
    parse: Callable[[str], str]


def declared(cls: type[Any], prefix: str = PREFIX) -> list[Declared]:
    """List the settings that a class declares, in order."""
    hints = get_type_hints(cls)
    rows = []
    for field in dataclasses.fields(cls):
        required = field.default is dataclasses.MISSING
        rows.append(
            Declared(
                variable=f"{prefix}{field.name.upper()}",
                field=field.name,
                type=hints[field.name],
                default=None if required else field.default,
                required=required,
                secret=Secret in (hints[field.name], *get_args(hints[field.name])),
                help=field.metadata["help"],
                choices=field.metadata["choices"],
                bounds=field.metadata["bounds"],
                parse=field.metadata["parse"],
            )
        )
    return rows


def load(cls: type[T], prefix: str = PREFIX) -> T:
    """Read a settings class from the environment.

    :raises ConfigurationError: with every fault at once: missing, of the wrong type, out of bounds.
    """
    values, faults = read(cls, prefix)
    if faults:
        raise ConfigurationError(faults)
    return cls(**values)


def read(cls: type[Any], prefix: str = PREFIX) -> tuple[dict[str, Any], list[str]]:
    """Read what can be read of a settings class from the environment; return it, and the faults of the rest."""
    values: dict[str, Any] = {}
    faults: list[str] = []
    for row in declared(cls, prefix):
        try:
            text = find_value(row.variable)
            if text is None and row.required:
                raise invalid("Environment variable not set.")
            values[row.field] = row.default if text is None else _parsed(row, text)
        except UnreadableValue as error:
            faults.append(str(error))
        except Exception as error:
            from marshmallow import ValidationError

            if not isinstance(error, ValidationError):
                raise
            help = f" It is: {row.help}" if row.required else ""
            faults.append(f"{row.variable}: {' '.join(map(str, error.messages))}{help}")
    return values, faults


def invalid(sentence: str) -> Exception:
    """Return marshmallow's ``ValidationError``, imported where a value is wrong: the import takes 30 ms."""
    from marshmallow import ValidationError

    return ValidationError(sentence)


def quoted_variables(known: Iterable[Declared]) -> Iterator[str]:
    """Name the variables from whose values quotes were removed: another program may take them as part of the value."""
    return (row.variable for row in known if is_quoted(row.variable))


_BOOLEANS = dict.fromkeys(("true", "t", "on", "yes", "y", "1"), True) | dict.fromkeys(
    ("false", "f", "off", "no", "n", "0"), False
)


def _boolean(text: str) -> bool:
    if text.lower() not in _BOOLEANS:
        raise invalid("Not a valid boolean.")
    return _BOOLEANS[text.lower()]


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise invalid("Not a valid integer.") from None


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise invalid("Not a valid number.") from None
    if not isfinite(number):
        raise invalid("Special numeric values (nan or infinity) are not permitted.")
    return number


_PARSERS: dict[Any, Callable[[str], Any]] = {bool: _boolean, int: _integer, float: _number}


def _parsed(row: Declared, text: str) -> Any:
    """Return the value of the setting's type.

    :raises ValidationError: it does not parse, or is not allowed.
    """
    item = next((part for part in get_args(row.type) if part not in (type(None), Ellipsis)), row.type)
    is_list = get_origin(row.type) is tuple
    parts = items_of(text) if is_list else (text,)
    values = tuple(_PARSERS[item](part) if item in _PARSERS else item(row.parse(part)) for part in parts)
    for value in values:
        _check(row, value)
    return values if is_list else values[0]


def _check(row: Declared, value: Any) -> None:
    """Refuse a value beyond the bounds of its setting, or outside its choices."""
    if row.choices and value not in row.choices:
        raise invalid(f"Must be one of: {', '.join(row.choices)}.")
    minimum, maximum = row.bounds
    if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
        least = "" if minimum is None else f"greater than or equal to {minimum}"
        most = "" if maximum is None else f"less than or equal to {maximum}"
        raise invalid(f"Must be {' and '.join(filter(None, (least, most)))}.")
