"""``videoconf doctor``: print what works, what does not, and what to do about it."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from videoconf.cli.application import script
from videoconf.cli.printing import as_json, print_json

if TYPE_CHECKING:
    from videoconf.cli.findings import Finding

COLOURS = {"ok": "green", "note": "cyan", "warning": "yellow", "error": "red"}
"""By level."""


@click.command()
@as_json
def doctor(as_json: bool) -> None:
    """Check settings, keys, database, providers and webhooks; fail if something forbids serving.

    Works when nothing is configured. Calls the database, and something harmless of each enabled provider.
    """
    from videoconf.cli.findings import Level, find

    findings = []
    for finding in find(script()):
        findings.append(finding)
        if not as_json:
            _print(finding)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    if any(finding.level is Level.ERROR for finding in findings):
        sys.exit(1)


def _print(finding: Finding) -> None:
    level = click.style(f"{finding.level:8}", fg=COLOURS[finding.level], bold=True)
    click.echo(f"{level}{finding.part}: {finding.said}")
    if finding.remedy:
        click.echo(f"{'':8}-> {finding.remedy}")
