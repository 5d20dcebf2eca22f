"""How commands print: in columns for people at a terminal, one plain line for each thing when piped."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click

from videoconf.formats import utc_text

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


def print_json(value: Any) -> None:
    """Print a value as JSON, times as everywhere on the wire."""
    click.echo(json.dumps(value, indent=2, default=_wire_value))


def _wire_value(value: object) -> str:
    return utc_text(value) if isinstance(value, datetime) else str(value)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under a head, or when piped as lines of fields with a TAB between, without a head."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(row))
        return
    lines = [tuple(columns), *map(tuple, rows)]
    widths = [max(len(cell) for cell in cells) for cells in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
