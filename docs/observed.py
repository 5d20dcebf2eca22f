"""Read from the source what an operator can observe: every metric, and every line of the log."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = (ROOT / "videoconf", ROOT / "plugins")
NOT_SERVING = ("testing", "cli/new_plugin", "pytest_plugin.py")
"""Parts of the package that tests or authors of plugins use."""
METRICS = ROOT / "videoconf/observability/metrics.py"
LEVELS = {"debug": "DEBUG", "info": "INFO", "warning": "WARNING", "error": "ERROR", "exception": "ERROR"}
MADE_BY = {"Histogram": "histogram", "Counter": "counter", "Gauge": "gauge"}


@dataclass(frozen=True, order=True)
class LogEvent:
    """A line that the service can write."""

    logger: str
    message: str
    level: str
    fields: tuple[str, ...]


@dataclass(frozen=True)
class DeclaredMetric:
    """A metric as ``/metrics`` names it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


def log_events() -> list[LogEvent]:
    """Return every log call of the service and its plugins, by logger and message."""
    found = set()
    for source in SOURCES:
        for path in sorted(source.rglob("*.py")):
            place = path.relative_to(source).as_posix()
            if not place.startswith(NOT_SERVING):
                found |= set(_events_of(path, source))
    return sorted(found)


def metrics() -> list[DeclaredMetric]:
    """Return every metric, in the order of the source."""
    found = []
    for node in ast.walk(ast.parse(METRICS.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MADE_BY:
            values = [ast.literal_eval(argument) for argument in node.args]
            name, help, labels = (*values, ())[:3]
            # Prometheus' text format adds this to the name of each counter.
            suffix = "_total" if node.func.id == "Counter" else ""
            found.append((node.lineno, DeclaredMetric(f"{name}{suffix}", MADE_BY[node.func.id], labels, help)))
    return [metric for _, metric in sorted(found, key=lambda one: one[0])]


def _events_of(path: Path, source: Path) -> Iterator[LogEvent]:
    tree = ast.parse(path.read_text())
    module = ".".join(path.relative_to(source.parent if source.name == "videoconf" else source).with_suffix("").parts)
    logger = module.removesuffix(".__init__")
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["logger"]:
            named = node.value.args[0] if isinstance(node.value, ast.Call) else None
            logger = named.value if isinstance(named, ast.Constant) else logger
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if ast.unparse(node.func.value) != "logger" or node.func.attr not in (*LEVELS, "log"):
            continue
        level, message = LEVELS.get(node.func.attr, "varies"), node.args[0]
        if node.func.attr == "log":
            level, message = _levels(node.args[0]), node.args[1]
        yield LogEvent(logger, _text(message, tree), level, tuple(dict.fromkeys(_fields(node, tree))))


def _levels(level: ast.expr) -> str:
    named = [node.attr for node in ast.walk(level) if isinstance(node, ast.Attribute) and node.attr.isupper()]
    return " or ".join(dict.fromkeys(named)) or "by outcome"


def _text(message: ast.expr, tree: ast.Module) -> str:
    """Return the message as an operator searches for it: an ellipsis stands for what differs."""
    text = ast.literal_eval(message) if isinstance(message, ast.Constant) else "…"
    if isinstance(message, ast.Name):
        text = " / ".join(
            "".join(part.value if isinstance(part, ast.Constant) else "…" for part in getattr(value, "values", [value]))
            for value in _assigned(message.id, tree)
        )
    return re.sub(r"(%[srd])+", "…", text)


def _fields(call: ast.Call, tree: ast.Module) -> Iterator[str]:
    """Yield the names of the line's own fields, as far as the source has them as a dictionary."""
    for keyword in call.keywords:
        if keyword.arg == "extra":
            values = _assigned(keyword.value.id, tree) if isinstance(keyword.value, ast.Name) else [keyword.value]
            for node in (node for value in values for node in ast.walk(value)):
                if isinstance(node, ast.Dict):
                    yield from (key.value for key in node.keys if isinstance(key, ast.Constant))


def _assigned(name: str, tree: ast.Module) -> list[ast.expr]:
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [name]
    ]
