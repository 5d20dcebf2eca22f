"""CSV answers: RFC 4180, in parts, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from videoconf.api.answers import BLOCK_BYTES
from videoconf.formats import utc_text

CONTENT_TYPE = "text/csv; charset=utf-8; header=present"

_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")


def csv_lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Write a header, then a line for each row; a row's ``intervals`` as ISO 8601, one after another."""
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        spans = [f"{cell(one['joined'])}/{cell(one['left']) or '..'}" for one in row["intervals"]]
        values = {**row, "intervals": " ".join(spans)}
        writer.writerow(cell(values[name]) for name in columns)
        if line.tell() > BLOCK_BYTES:
            yield line.getvalue().encode()
            line.seek(0)
            line.truncate()
    yield line.getvalue().encode()


def cell(value: Any) -> Any:
    """Defuse what a spreadsheet would run: a name like ``=HYPERLINK(…)`` is shown, after an apostrophe, as a text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return utc_text(value)
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value
