"""The console has words for everything that the service names: types of events, and actions of the audit trail."""

import ast
import re
from pathlib import Path

import videoconf
from videoconf.api.pages import FOLDER
from videoconf.events.types import DESCRIPTIONS

OPERATIONS = (FOLDER / "console/words/operations.js").read_text()
AUDIT, EVENTS = OPERATIONS.partition("  audit: {")[2].split("  events: {")
ACTION = re.compile(r"[a-z_]+\.[a-z_]+")
CORE = Path(videoconf.__file__).parent


def recorded_actions():
    """Find the actions that the code passes to ``record()``."""
    for path in sorted(CORE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("record", "_note"):
                for part in (one for argument in node.args for one in ast.walk(argument)):
                    if isinstance(part, ast.Constant) and ACTION.fullmatch(str(part.value)):
                        yield part.value


def test_every_event_type_has_words():
    assert [str(type) for type in DESCRIPTIONS if f'"{type}":' not in EVENTS] == []


def test_every_recorded_action_has_words():
    actions = set(recorded_actions())
    assert len(actions) > 20
    assert sorted(action for action in actions if f'"{action}":' not in AUDIT) == []
