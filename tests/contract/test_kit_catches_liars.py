"""The kits are worth as much as what they catch: each liar fails exactly its scenario, and an honest one none."""

import re
import tempfile
import warnings
from importlib import import_module

import pytest

import videoconf.app  # noqa: F401  # loaded before the runs inside, each of which forgets what it loads
from tests.support.chromium import needs_chromium
from tests.third_party import folder, folder_over_http, liars_about_webhooks, liars_over_http
from videoconf.cli.migrations import MODELS
from videoconf.testing import (
    ProviderConformance,
    StorageConformance,
    leftovers,
    storage_conformance,
    storage_faults,
)

pytest_plugins = ["pytester"]
for name in MODELS:  # which an application loads when it serves
    import_module(name)

PLUGINS = ("pytest_timeout", "videoconf.pytest_plugin")
"""All that a kit needs of pytest's plugins. To find and load those of the environment takes half of a run."""
SCENARIO = re.compile(r"test_([PWS]\d\d)_")


def scenarios_of(kit):
    return {match[1] for name in dir(kit) if (match := SCENARIO.match(name))}


@pytest.fixture
def failing(pytester, monkeypatch, memory_folder):
    """Give a function that runs a kit in a pytest session of its own and returns the scenarios that fail."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setattr(tempfile, "tempdir", str(memory_folder))  # where the kit has its database
    monkeypatch.setattr(leftovers, "SETTLE_SECONDS", 1.0)
    monkeypatch.setattr(storage_conformance, "EXPIRY_SECONDS", 2.5)
    monkeypatch.setattr(storage_faults, "SLACK_SECONDS", 1.5)
    plugins = [word for plugin in PLUGINS for word in ("-p", plugin)]

    def run(module, name, chosen="not browser"):
        pytester.makepyfile(test_liar=f"from {module} import {name}\nclass TestLiar({name}): pass\n")
        with warnings.catch_warnings():
            found = pytester.inline_run(
                *plugins, "-m", chosen, "-p", "no:cacheprovider", "-p", "no:logging", "--timeout=60"
            )
        _, _, failed = found.listoutcomes()
        assert found.ret in (0, 1), found.ret
        return {SCENARIO.search(report.nodeid)[1]: str(report.longrepr) for report in failed}

    return run


KITS = {
    "provider": ("tests.plugins.fake.fake_kit", "FakeKit"),
    "provider with a handshake": ("tests.third_party.liars_about_webhooks", "HandshakeKit"),
    "provider over HTTP": ("tests.third_party.liars_over_http", "AcmeKit"),
    "storage target": ("tests.third_party.folder", "FolderKit"),
    "storage target over HTTP": ("tests.third_party.folder_over_http", "RemoteKit"),
}
LIARS = {
    name: (module, kit)
    for module in (liars_about_webhooks, liars_over_http, folder, folder_over_http)
    for name, kit in module.LIARS.items()
}
IN_CHROMIUM = {"P61"}
"""Scenarios that have the marker `browser`, so that they do not start a browser for each of the others."""


@pytest.mark.parametrize("kit", KITS)
def test_honest_plugin_passes_every_scenario(failing, kit):
    assert failing(*KITS[kit]) == {}


@pytest.mark.parametrize("name", sorted(LIARS.keys() - IN_CHROMIUM))
def test_liar_fails_only_its_scenario(failing, monkeypatch, name):
    module, kit = LIARS[name]
    scenario = name.partition("-")[0]
    monkeypatch.setattr(module, "Liar", kit, raising=False)
    failed = failing(module.__name__, "Liar")
    assert failed.keys() == {scenario}, failed


@pytest.mark.browser
@needs_chromium
@pytest.mark.parametrize("name", sorted(IN_CHROMIUM))
def test_liar_in_chromium_fails_its_scenario(failing, monkeypatch, name):
    module, kit = LIARS[name]
    monkeypatch.setattr(module, "Liar", kit, raising=False)
    assert failing(module.__name__, "Liar", "browser").keys() == {name}
    assert failing(*KITS["provider"], "browser") == {}


def test_every_scenario_has_a_liar():
    told = {name.partition("-")[0] for name in LIARS}
    assert told == scenarios_of(ProviderConformance) | scenarios_of(StorageConformance)
