"""Values of variables as shells, editors and secret stores write them.

``docker --env-file`` keeps quotes, editors add line ends and byte order marks, PowerShell writes UTF-16, and many
secret stores hold a PEM key on one line. All of this is undone here, once and for every setting, so that a value means
the same wherever it was written.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import json
import os
import re
from pathlib import Path

BYTE_ORDER_MARK = "\ufeff"

_PEM_ON_ONE_LINE = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----[ \n]*(.*?)[ \n]*-----END \1-----[ \n]*", re.DOTALL)
_ESCAPED_LINE_END = re.compile(r"\\r\\n|\\n|\\r")
_ESCAPED_LINE_ENDS_AT_THE_END = re.compile(r"(?:\\r|\\n)+\Z")
_BASE64_OF_PEM = base64.b64encode(b"-----BEGIN ").decode().rstrip("=")[:14]
_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_ITEM = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|((?:\\,|[^,\n])*?))\s*(?:[,\n]|\Z)""")


class InvalidValue(ValueError):
    """A value that its setting does not take. The message says what it must be, and never repeats the value."""


class UnreadableValue(ValueError):
    """A value that cannot be read. The message names the variable and never repeats the value."""


def find_value(variable: str) -> str | None:
    """Return what the variable, or the file that ``…_FILE`` names, says; None if neither is set.

    :raises UnreadableValue: the file cannot be read, is not text, or the value contains control characters.
    """
    path = os.environ.get(f"{variable}_FILE")
    try:
        value = text_of_file(path) if path else os.environ.get(variable)
    except OSError:
        raise UnreadableValue(f"{variable}_FILE: Must be the path of a readable file.") from None
    except UnicodeDecodeError:
        raise UnreadableValue(f"{variable}_FILE: The file is not text in UTF-8.") from None
    if value is None:
        return None
    if not path:
        value = as_meant(value)
    if _CONTROL_CHARACTER.search(value):
        raise UnreadableValue(f"{variable}: Must not contain control characters. Write it again as plain text.")
    return value


def is_quoted(variable: str) -> bool:
    """Return whether quotes around the variable's value were removed."""
    written = _stripped(os.environ.get(variable, ""))
    return _unquoted(written) != written


def as_meant(written: str) -> str:
    r"""Undo what shells, editors and secret stores do to a value.

    Removes a byte order mark, whitespace, one pair of quotes around everything, and escaped line ends at the end; line
    ends become ``\\n``. A PEM text that is on one line, escaped, or in Base64 gets its lines back.
    """
    text = _unquoted(_stripped(written).replace("\r\n", "\n").replace("\r", "\n"))
    if text.startswith(_BASE64_OF_PEM):
        try:
            text = base64.b64decode("".join(text.split()), validate=True).decode().strip()
        except (binascii.Error, UnicodeDecodeError):
            return text
    if "-----BEGIN " in text:
        lines = _ESCAPED_LINE_END.sub("\n", text.replace("\r\n", "\n"))
        return _PEM_ON_ONE_LINE.sub(_in_lines, lines).strip()
    return _ESCAPED_LINE_ENDS_AT_THE_END.sub("", text).strip()


def text_of_file(path: str) -> str:
    """Read a file as its author meant it: see :func:`as_meant`.

    :raises OSError: it cannot be read.
    :raises UnicodeDecodeError: it is not text.
    """
    content = Path(path).read_bytes()
    # Editors and PowerShell of Windows write UTF-16, and say so by a byte order mark.
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return as_meant(content.decode("utf-16" if is_utf16 else "utf-8-sig"))


def items_of(text: str) -> list[str]:
    r"""Split a list at commas and line ends; empty items are left out.

    An item in quotes may contain them, and so may one with ``\,`` in place of the comma. A JSON array of strings is
    accepted too.
    """
    if text.startswith("[") and text.endswith("]"):
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if isinstance(found, list) and all(isinstance(item, str) for item in found):
            return [item.strip() for item in found if item.strip()]
    items = ("".join(part or "" for part in match.groups()) for match in _ITEM.finditer(text))
    return [item.replace("\\,", ",").strip() for item in items if item.strip()]


def _stripped(written: str) -> str:
    return written.strip().strip(BYTE_ORDER_MARK).strip()


def _unquoted(text: str) -> str:
    """Remove one pair of quotes around everything. Quotes that also stand inside are not such a pair."""
    for quote in ('"', "'"):
        if len(text) >= 2 and text.count(quote) == 2 and text[0] == text[-1] == quote:
            return text[1:-1].strip()
    return text


def _in_lines(block: re.Match[str]) -> str:
    label, body = block[1], block[2]
    # A head, such as `Proc-Type:` of an encrypted key, needs its own lines: such a block is left as it stands.
    if ":" not in body:
        body = "\n".join(body.split())
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"
