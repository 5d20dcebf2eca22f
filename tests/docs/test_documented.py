"""Whatever a user can meet is documented: names in the code and names in the documentation are the same."""

import inspect
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from videoconf import errors
from videoconf.api.openapi import openapi_document
from videoconf.api.permissions import Permission
from videoconf.app import create_app
from videoconf.configuration import declared
from videoconf.formats import camel_case
from videoconf.hooks import build_registry, load_plugins, settings_prefix, spec
from videoconf.providers import Capabilities, Capability
from videoconf.settings import Settings

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs/reference"
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md")), ROOT / "migrations/README.md", ROOT / "tests/README.md"]
UNLISTED = {
    "GET /openapi.json": "the document itself",
    "GET /": "leads to the page",
    "GET /docs": "shows the document",
    "GET /docs/": "leads to the page",
    "GET /docs/<name>": "files of the page that shows the document",
    "GET /console": "the page for people who run meetings",
    "GET /console/settings.json": "what that page must know before it has a token",
    "GET /join": "the page on which people join",
    "GET /join/room/<provider>": "the frame of that page with a provider's client",
    "GET /join/room/<provider>/client.js": "a provider's client for browsers",
    "GET /pages/<path:name>": "files of the pages",
}
"""Routes that are no operations, each with the reason."""


@pytest.fixture(scope="module")
def app():
    return create_app(Settings(), serving=False)


def names_in(page: str, column: int = 0) -> set[str]:
    """The names in one column of the tables of a reference page."""
    rows = re.findall(r"^\| (?!---)(.*) \|$", (REFERENCE / f"{page}.md").read_text(), re.MULTILINE)
    cells = [re.split(r"(?<!\\) \| ", row)[column] for row in rows]
    return {name for cell in cells for name in re.findall(r"^`(.*)`$", cell)}


def column(page: Path, heading: str) -> set[str]:
    """The names in the first column of the tables below a heading."""
    section = re.split(r"^## ", page.read_text().split(f"\n## {heading}\n", 1)[1], flags=re.MULTILINE)[0]
    return set(re.findall(r"^\| `([^`]*)` \|", section, re.MULTILINE))


def all_errors(cls=errors.VideoconfError):
    for child in cls.__subclasses__():
        if child.__module__.startswith("videoconf.errors."):
            yield child
            yield from all_errors(child)


def test_generated_pages_are_up_to_date():
    command = [sys.executable, "docs/generate.py", "--check"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_readme_is_one_page_without_tables():
    lines = README.read_text().splitlines()
    assert len(lines) <= 120
    assert not [line for line in lines if line.startswith("|")]


def test_every_setting_is_documented():
    names = {row.variable for row in declared(Settings)}
    for key, registered in build_registry(load_plugins()).configurable.items():
        names |= {row.variable for row in declared(registered.cls.Settings, settings_prefix(key))}
    assert names_in("settings") == names
    mentioned = {name for page in PAGES for name in re.findall(r"VIDEOCONF_[A-Z0-9_]*[A-Z0-9]", page.read_text())}
    mentioned = {name for name in mentioned if not name.startswith(("VIDEOCONF_ACME_", "VIDEOCONF_PLAZA_"))}  # examples
    assert mentioned <= names | {name.removesuffix("_FILE") for name in names} | {f"{name}_FILE" for name in names}


def test_every_setting_has_a_help_sentence():
    for row in declared(Settings):
        assert re.search(r"\w.*[.`]$", row.help), row.variable


def test_every_error_code_is_documented_and_no_other():
    assert names_in("errors", 1) == {cls.code for cls in all_errors()}


def test_every_route_is_documented(app):
    served = {
        f"{method} {documented_path(rule.rule)}"
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if f"{method} {rule.rule}" not in UNLISTED
    }
    documented = {
        f"{method.upper()} {path}"
        for path, methods in openapi_document(app)["paths"].items()
        for method in methods
        if method != "parameters"
    }
    headings = set(re.findall(r"^### `(.*)`$", (REFERENCE / "api.md").read_text(), re.MULTILINE))
    assert served == documented == headings
    assert UNLISTED.keys() <= {f"{method} {rule.rule}" for rule in app.url_map.iter_rules() for method in rule.methods}


def documented_path(rule: str) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda match: "{" + camel_case(match[1]) + "}", rule)


def test_every_operation_has_summary_permission_and_errors(app):
    for path, methods in openapi_document(app)["paths"].items():
        for method, operation in methods.items():
            if method == "parameters":
                continue
            assert operation["summary"], path
            assert operation["operationId"].partition(".")[0] == operation["tags"][0]
            assert "default" in operation["responses"]
            assert ("x-permission" in operation) == bool(operation["security"])


def test_every_permission_is_documented_and_no_other():
    assert names_in("permissions") == set(Permission)


def test_every_hook_is_documented_with_its_signature():
    hooks = {
        f"{name}{inspect.signature(hook)}"
        for name, hook in inspect.getmembers(spec, inspect.isfunction)
        if name.startswith("videoconf_")
    }
    assert set(re.findall(r"^## `(.*)`$", (REFERENCE / "hooks.md").read_text(), re.MULTILINE)) == hooks


def test_every_capability_is_documented_and_no_other():
    assert names_in("capabilities") == set(Capability) | {field.name for field in fields(Capabilities)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_existing_targets(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_page_is_listed_by_its_index():
    for page in (ROOT / "docs").rglob("*.md"):
        index = page.parent / "index.md"
        if page != index:
            assert f"({page.name}" in index.read_text(), page


def test_every_table_of_the_database_is_in_the_architecture(app):
    from videoconf.db.types import Base

    page = ROOT / "docs/explanation/architecture.md"
    assert column(page, "The data") == set(Base.metadata.tables)


def test_every_layer_is_in_the_architecture():
    import configparser

    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg")
    layers = set(re.findall(r"\w+", config["importlinter:contract:layers"]["layers"]))
    page = (ROOT / "docs/explanation/architecture.md").read_text()
    rows = re.findall(r"^\| (`.*?) \|", page.split("\n## The layers\n")[1].split("\n## ")[0], re.MULTILINE)
    assert set(re.findall(r"\w+", " ".join(rows))) == layers
