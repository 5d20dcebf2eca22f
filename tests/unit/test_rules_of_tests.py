"""Rules of style for the tests themselves: short files, public names, calls that are scripted instead of patched."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
LONGEST = 500
LONGEST_NAME = 60
UNCLEAR_NAME = re.compile(
    r"test_(it|no|of|one_that|outside|under|what|where|which\w*|while|who\w*|with|without)_"  # not a subject
    r"|_all_the_same_|_anew_|_nobodys?_|_somebody_|_spells_|_spelt_|_told_|_who(so)?ever_|_wish_"
    r"|_(is|are)_(no|none)_"
)
"""Beginnings and words of names that readers had to read twice."""
OURS = re.compile(r"(videoconf|bench|tools|tests)\b")
PUBLIC = {"_asdict", "_fields", "_mapping", "_replace"}
"""Documented methods of named tuples and rows, which have an underscore so that no field has their name."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC


def is_canary(path: Path) -> bool:
    """Tell whether a file watches the private names of libraries that the code relies on."""
    return path.parent.name == "canaries" or path.name == "test_canaries.py"


def private_names(source: str) -> Iterator[str]:
    """Give each private name that a module takes from another, also as text: ``patch("videoconf.x._y")``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
                yield ast.unparse(node)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names if is_private(alias.name))
        elif isinstance(node, ast.Call):
            for argument in node.args[:2]:
                if isinstance(argument, ast.Constant) and re.fullmatch(r"([\w.]+\._|_)[a-z]\w*", str(argument.value)):
                    yield f"{ast.unparse(node.func)}({argument.value!r})"


def patched_functions(source: str) -> Iterator[str]:
    """Give each function or class of ours that a module replaces. A constant, such as a time limit, may be set."""
    tree = ast.parse(source)
    imported = {
        alias.asname or alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if OURS.match(node.module or "" if isinstance(node, ast.ImportFrom) else alias.name)
    }
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setattr"):
            continue
        match node.args:
            case [ast.Constant(value=str(path)), *_] if OURS.match(path):
                owner, _, name = path.rpartition(".")
                if not name.isupper() and not owner.endswith((".time", ".socket")):
                    yield path
            case [ast.Name(id=owner), ast.Constant(value=str(name)), *_] if owner in imported and not name.isupper():
                yield f"{owner}.{name}"


def unclear_names(source: str) -> Iterator[str]:
    """Give the name of each test that is not a subject, a verb and a result in at most 60 characters."""
    nodes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    for name in (node.name for node in nodes if node.name.startswith("test_")):
        if len(name) > LONGEST_NAME or UNCLEAR_NAME.search(f"{name}_"):
            yield name


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_follows_the_rules(path: Path) -> None:
    source = path.read_text()
    assert source.count("\n") <= LONGEST, "split it by question; see tests/README.md"
    assert list(unclear_names(source)) == [], "subject, verb, result: test_second_end_answers_409"
    if not is_canary(path):
        assert list(private_names(source)) == [], "use public behaviour"
    assert list(patched_functions(source)) == [], (
        "script the provider or the storage target (videoconf.testing.Scripted)"
    )


def test_rules_find_violations() -> None:
    source = """
from videoconf.archives import copy as copying
from videoconf.archives.copy import _Pull
jobs._handlers["kind"]
monkeypatch.setattr(copying, "pull", None)
monkeypatch.setattr(copying, "RESUMED_AT_ONCE", 2)
monkeypatch.setattr("videoconf.archives.copy._find", None)
monkeypatch.setattr(keys, "_fetch", None)
"""
    assert sorted(private_names(source)) == [
        "jobs._handlers",
        "monkeypatch.setattr('_fetch')",
        "monkeypatch.setattr('videoconf.archives.copy._find')",
        "videoconf.archives.copy._Pull",
    ]
    assert sorted(patched_functions(source)) == ["copying.pull", "videoconf.archives.copy._find"]


@pytest.mark.parametrize(
    ("name", "is_unclear"),
    [
        ("second_end_answers_409", False),
        ("handshake_is_a_reply_or_none", False),
        ("file_that_is_not_a_database_is_unavailable", False),
        ("x" * 55, False),
        ("x" * 56, True),
        ("it_recurs", True),
        ("nobody_came", True),
        ("no_token_is_logged", True),
        ("what_a_crash_left_is_removed", True),
        ("whoever_is_refused_is_counted", True),
        ("without_a_key_each_request_creates", True),
        ("token_is_minted_all_the_same", True),
        ("key_that_is_none_is_refused", True),
        ("nonsense_is_no_cursor", True),
        ("change_is_told_once", True),
    ],
)
def test_rule_finds_unclear_names(name: str, is_unclear: bool) -> None:
    assert bool(list(unclear_names(f"def test_{name}(): ..."))) is is_unclear


def test_fixtures_of_the_service_stand_in_the_root_conftest() -> None:
    """A module may run its tests at another service; a second ``clock`` or ``headers`` would be another meaning."""
    defined = {
        (path.relative_to(ROOT).as_posix(), node.name)
        for path in TESTS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        and node.name in ("app_options", "clock", "headers")
        and any("fixture" in ast.unparse(decorator) for decorator in node.decorator_list)
    }
    assert {name for path, name in defined if path == "tests/conftest.py"} == {"app_options", "clock", "headers"}
    assert {name for path, name in defined if path != "tests/conftest.py"} == {"app_options"}
