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

AS_CSV = {"text/csv": {"schema": {"type": "string"}}}
"""The form of an answer, for the OpenAPI document."""
CONTENT_TYPE = "text/csv; charset=utf-8; header=present"

_FORMULA = r"""[\s"'\u200b\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]"""
"""What a spreadsheet runs at the start of a cell, after what it skips."""
_RUNS = re.compile(rf"{_FORMULA}|[\t\r\n]")
_RUNS_WITHIN = re.compile(rf"([;,|\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029])(?={_FORMULA})")
"""Where a spreadsheet may begin a cell within a value: in many countries it splits at semicolons."""


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
    """Defuse what a spreadsheet would run: after an apostrophe, ``=HYPERLINK(…)`` is shown as text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return utc_text(value)
    if not isinstance(value, str):
        return value
    defused = _RUNS_WITHIN.sub(r"\1'", value)
    return f"'{defused}" if _RUNS.match(defused) else defused
