"""Rules of the design that no linter knows."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
CORE = sorted((ROOT / "videoconf").rglob("*.py"))
VENDORS = re.compile(
    r"vonage|opentok|tokbox|nexmo|livekit|jitsi|jaas|twilio|bigbluebutton|plugnmeet|chime|zoom|azure|boto|aws|\bs3\b",
    re.IGNORECASE,
)


def in_code(tree: ast.AST) -> Iterator[str]:
    """Give every name and text of a module but its docstrings and comments, which may give examples."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value
        for field in ("id", "attr", "arg", "name", "module"):
            if isinstance(value := getattr(node, field, None), str):
                yield value


def test_the_core_names_no_vendor_but_those_of_defaults() -> None:
    found = {
        (path.relative_to(ROOT).as_posix(), text)
        for path in CORE
        for text in in_code(ast.parse(path.read_text()))
        if VENDORS.search(text)
    }
    assert found == {("videoconf/settings.py", name) for name in ("vonage", "s3", "azure")}


def test_the_running_application_is_asked_for_in_one_place() -> None:
    """Code that finds its parts by itself cannot be given others, and runs in a request alone."""
    uses = [
        path.relative_to(ROOT).as_posix()
        for path in CORE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name) and node.id == "current_app"
    ]
    assert uses == ["videoconf/api/services.py"]


def loaded_by(code: str, **environment: str) -> set[str]:
    """Run code in a fresh interpreter; return the modules that are loaded afterwards."""
    answer = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        cwd=ROOT,
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return set(answer.stdout.split())


@pytest.mark.parametrize("module", ["videoconf", "videoconf.errors", "videoconf.providers", "videoconf.storage"])
def test_a_plugin_loads_neither_the_server_nor_the_database(module: str) -> None:
    assert not loaded_by(f"import {module}") & {"flask", "sqlalchemy", "videoconf.app"}


def test_the_application_loads_no_vendor_sdk_before_it_is_used(fake_settings: dict[str, str]) -> None:
    """They take a second and tens of megabytes, and a broken one must not stop those who do not use it."""
    loaded = loaded_by(
        "from videoconf.app import create_app; create_app(serving=True)",
        VIDEOCONF_PROVIDERS="fake",
        VIDEOCONF_JWT_SECRETS="a" * 32,
        VIDEOCONF_EMBEDDED_WORKERS="0",
        **fake_settings,
    )
    assert "videoconf_fake.provider" in loaded
    assert not loaded & {"opentok", "boto3", "botocore", "azure.core", "azure.storage.blob"}


def test_modules_import_each_other_in_no_cycle() -> None:
    graph = grimp.build_graph("videoconf", exclude_type_checking_imports=True, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert {"videoconf.webhooks.receive", "videoconf.meetings.models"} <= imports.keys()
    TopologicalSorter(imports).prepare()  # raises CycleError, which names the cycle
