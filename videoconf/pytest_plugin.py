"""The pytest plugin. Every session in an environment with videoconf loads it, so it imports next to nothing."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

SCENARIO = re.compile(r"::test_([PWS])(\d\d)_(\w+)")
WATCHED = ("builtins", "http.client", "json", "logging", "os", "random", "socket", "ssl", "threading", "time")
"""Modules of Python whose functions a plugin must leave alone."""

at_start: dict[str, Any] = {}
"""The functions of those that were loaded when the session began."""


def functions_of_python() -> dict[str, Any]:
    """Return the functions and classes of the watched modules, by their full names."""
    modules = {name: sys.modules[name] for name in WATCHED if name in sys.modules}
    return {
        f"{name}.{attribute}": value
        for name, module in modules.items()
        for attribute, value in vars(module).items()
        if callable(value)
    }


def pytest_configure(config: pytest.Config) -> None:
    """Note what Python's own functions are, before a plugin is imported that may replace some.

    Also declares the marker of the scenario that needs Chromium, so that a plugin's tests can leave it out.
    """
    at_start.update(functions_of_python())
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
