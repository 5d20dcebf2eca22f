"""A server imports the plugins that the settings enable, and runs no code of others that are installed."""

import subprocess
import sys
import time

import pytest

from tests.support.commands import run
from tests.support.service import in_process
from videoconf.app import create_app
from videoconf.errors import ConfigurationError
from videoconf.hooks import load_plugins

BYSTANDER = """
import builtins, time
builtins.bystander_ran = True
time.sleep(8)
"""
OTHER_NAME = """
from videoconf import hookimpl
from videoconf_fake.provider import FakeProvider


class Zoo(FakeProvider):
    key = "zoo"
    label = "Zoo"


@hookimpl
def videoconf_providers():
    return [Zoo]
"""
BUCKETS = """
from videoconf import hookimpl
from videoconf_fake.memory import MemoryTarget


class Buckets(MemoryTarget):
    key = "buckets"
    wire_name = "BUCKETS"


@hookimpl
def videoconf_storage_targets():
    return [Buckets]
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Give a function that installs a distribution with one plugin, under the name of an entry point."""

    def install(name, source):
        module = f"installed_{name.replace('-', '_')}"
        (tmp_path / f"{module}.py").write_text(source)
        about = tmp_path / f"{module}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[videoconf]\n{name} = {module}\n")
        monkeypatch.syspath_prepend(tmp_path)
        return module

    return install


@pytest.fixture
def start(monkeypatch, sqlite_database, fake_settings):
    """Give a function that makes the application of the environment, as a server does."""

    def start(serving=True, **settings):
        defaults = {
            "providers": "fake",
            "database_url": sqlite_database,
            "jwt_secrets": "s" * 48,
            "embedded_workers": "0",
        }
        for name, value in {**defaults, **settings}.items():
            monkeypatch.setenv(f"VIDEOCONF_{name.upper()}", value)
        return create_app(serving=serving)

    return start


def test_installed_plugin_that_is_not_enabled_does_not_run(install, start):
    module = install("bystander", BYSTANDER)
    began = time.monotonic()
    app = start(bystander_api_key="is known to belong to it")
    assert time.monotonic() - began < 5, "its sleep delays no start"
    assert module not in sys.modules
    assert {"videoconf_janus", "videoconf_livekit", "videoconf_vonage"}.isdisjoint(_imported_by("fake"))
    assert in_process(app)("GET", "/healthz", None, {}).status == 200


def _imported_by(providers):
    code = "import sys; from videoconf.hooks import load_plugins; load_plugins(keys=sys.argv[1:]); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code, providers], capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


def test_plugin_with_another_entry_point_name_still_loads(install, start, monkeypatch):
    module = install("zoo-video", OTHER_NAME)
    for name in ("WEBHOOK_SECRETS", "TOKEN_SECRET"):
        monkeypatch.setenv(f"VIDEOCONF_ZOO_{name}", "whsec_dGVzdHMtc2lnbi13ZWJob29rcy13aXRoLXRoaXM=")
    app = start(providers="zoo")
    warning = f"'zoo' is brought by the plugin 'zoo-video' of {module} 1.0, whose entry point has another name"
    assert warning in run(app, "doctor").stdout


def test_plugin_named_by_its_key_gives_no_warning(start):
    assert "entry point" not in run(start(), "doctor").stdout


def test_storage_kind_is_offered_when_it_is_enabled(install, start):
    install("buckets", BUCKETS)

    def kinds(app):
        schemas = in_process(app)("GET", "/openapi.json", None, {}).json["components"]["schemas"]
        return {name.removeprefix("StorageTarget") for name in schemas if name.removeprefix("StorageTarget").isupper()}

    assert "BUCKETS" not in kinds(start())
    assert "BUCKETS" in kinds(start(storage_kinds="s3,buckets"))


def test_unknown_storage_kind_refuses_to_serve(start):
    with pytest.raises(ConfigurationError) as refused:
        start(storage_kinds="s3,azur")
    assert "VIDEOCONF_STORAGE_KINDS names 'azur', which no installed plugin brings" in str(refused.value)
    assert "azure" in str(refused.value)


def test_plugin_of_two_keys_loads_once():
    loaded = load_plugins(keys=["fake", "memory"])
    assert list(loaded.origins) == ["fake"]
    assert not loaded.failures


def test_error_without_a_message_does_not_end_the_start(install):
    install("mute", "class Mute(BaseException):\n    def __str__(self): raise SystemExit\nraise Mute\n")
    [failure] = load_plugins(keys=["mute"]).failures
    assert failure.reason == "Mute: "
