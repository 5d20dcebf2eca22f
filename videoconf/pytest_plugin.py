"""The pytest plugin. Every session in an environment with videoconf loads it, so it imports next to nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

SCENARIO = re.compile(r"::test_([PWS])(\d\d)_(\w+)")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker of the scenario that needs Chromium, so that a plugin's tests can leave it out."""
    config.addinivalue_line("markers", "browser: drives Chromium")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end which scenarios of a conformance kit failed, and what each wants."""
    failed = [
        (match, report)
        for outcome in ("failed", "error")
        for report in terminalreporter.stats.get(outcome, [])
        if (match := SCENARIO.search(report.nodeid))
    ]
    if not failed:
        return
    passed = sum(bool(SCENARIO.search(report.nodeid)) for report in terminalreporter.stats.get("passed", []))
    terminalreporter.section(f"videoconf conformance: {passed} scenarios hold, {len(failed)} do not")
    told: dict[str, str] = {}
    for match, report in sorted(failed, key=lambda pair: pair[0][0]):
        kind, number, words = match.groups()
        what = _last_line(report)
        same = f"as {told[what]}" if what in told else what
        told.setdefault(what, f"{kind}-{number}")
        terminalreporter.line(f"{kind}-{number} {words.replace('_', ' ')}: {same}")


def _last_line(report: Any) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    lines = str(crash.message if crash else report.longrepr).strip().splitlines()
    return lines[0] if lines else ""
