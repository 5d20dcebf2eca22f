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
from videoconf.formats import camel_case
from videoconf.hooks import build_registry, load_plugins, settings_prefix, spec
from videoconf.providers import Capabilities, Capability
from videoconf.settings import Settings, declared

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PLUGINS = (ROOT / "plugins/README.md").read_text()
PAGES = [ROOT / "README.md", *ROOT.glob("docs/*.md"), ROOT / "plugins/README.md", ROOT / "migrations/README.md"]
UNLISTED = {
    "/openapi.json": "the document itself",
    "/metrics": "in the format of Prometheus",
    "/docs": "shows the document",
    "/docs/<name>": "files of the page that shows the document",
}
"""Routes that are no operations, each with the reason."""


@pytest.fixture(scope="module")
def app():
    return create_app(Settings(), serving=False)


def column(text: str, heading: str, number: int = 0) -> set[str]:
    """The names in one column of the tables below a heading."""
    section = re.split(r"^## ", text.split(f"\n## {heading}\n", 1)[1], flags=re.MULTILINE)[0]
    rows = re.findall(r"^\| (?!---)(.*) \|$", section, re.MULTILINE)
    cells = [re.split(r"(?<!\\) \| ", row)[number] for row in rows]
    return {name for cell in cells for name in re.findall(r"^`(.*)`$", cell)}


def all_errors(cls=errors.VideoconfError):
    for child in cls.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from all_errors(child)


def test_the_generated_tables_are_those_of_the_code():
    command = [sys.executable, "-m", "cogapp", "--check", "-I", "docs", "README.md", "plugins/README.md"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, f"run `make docs`\n{checked.stdout}{checked.stderr}"


def test_every_setting_is_documented_and_no_other():
    names = {row.variable for row in declared(Settings)}
    for key, registered in build_registry(load_plugins()).configurable.items():
        names |= {row.variable for row in declared(registered.cls.Settings, settings_prefix(key))}
    assert column(README, "Settings") == names
    mentioned = {name for page in PAGES for name in re.findall(r"VIDEOCONF_[A-Z0-9_]*[A-Z0-9]", page.read_text())}
    mentioned = {name for name in mentioned if not name.startswith("VIDEOCONF_ACME_")}  # the guide's own example
    assert mentioned <= names | {name.removesuffix("_FILE") for name in names}


def test_every_setting_says_what_it_is():
    for row in declared(Settings):
        assert re.search(r"\w.*[.`]$", row.help), row.variable


def test_every_error_code_is_documented_and_no_other():
    assert column(README, "Error codes", 1) == {cls.code for cls in all_errors()}


def test_every_route_is_an_operation_of_the_document_and_of_the_readme(app):
    served = {
        f"{method} {documented_path(rule.rule)}"
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.rule not in UNLISTED
    }
    documented = {
        f"{method.upper()} {path}"
        for path, methods in openapi_document(app)["paths"].items()
        for method in methods
        if method != "parameters"
    }
    assert served == documented == column(README, "Operations")
    assert UNLISTED.keys() <= {rule.rule for rule in app.url_map.iter_rules()}


def documented_path(rule: str) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda match: "{" + camel_case(match[1]) + "}", rule)


def test_every_operation_says_what_it_does_who_may_and_how_it_fails(app):
    for path, methods in openapi_document(app)["paths"].items():
        for method, operation in methods.items():
            if method == "parameters":
                continue
            assert operation["summary"], path
            assert operation["operationId"].partition(".")[0] == operation["tags"][0]
            assert "default" in operation["responses"]
            assert ("x-permission" in operation) == bool(operation["security"])


def test_every_permission_is_documented_and_no_other():
    assert column(README, "Permissions") == set(Permission)


def test_every_hook_is_documented_with_its_signature():
    hooks = {
        f"{name}{inspect.signature(hook)}"
        for name, hook in inspect.getmembers(spec, inspect.isfunction)
        if name.startswith("videoconf_")
    }
    assert set(re.findall(r"^### `(.*)`$", PLUGINS, re.MULTILINE)) == hooks


def test_every_capability_is_documented_and_no_other():
    assert column(PLUGINS, "Capabilities") == set(Capability)
    assert column(PLUGINS, "Facts of a provider") == {field.name for field in fields(Capabilities)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_page_is_found_from_the_readme():
    for page in ROOT.glob("docs/*.md"):
        assert f"(docs/{page.name})" in README, page.name


def test_every_table_of_the_database_is_in_the_architecture(app):
    from videoconf.db.types import Base

    page = (ROOT / "docs/architecture.md").read_text()
    assert column(page, "The data") == set(Base.metadata.tables)


def test_every_layer_is_in_the_architecture():
    import configparser

    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg")
    layers = set(re.findall(r"\w+", config["importlinter:contract:layers"]["layers"]))
    page = (ROOT / "docs/architecture.md").read_text()
    rows = re.findall(r"^\| (`.*?) \|", page.split("\n## The layers\n")[1].split("\n## ")[0], re.MULTILINE)
    assert set(re.findall(r"\w+", " ".join(rows))) == layers
