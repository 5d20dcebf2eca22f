"""Liars about HTTP, made of the plugin that docs/tutorial/first-provider.md builds."""

import sys
import tempfile
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.third_party.guide import write_files
from videoconf.errors import ProviderRateLimited, ProviderTimeout
from videoconf.providers import Secret

_folder = tempfile.TemporaryDirectory()  # for as long as this module is loaded
write_files(Path(_folder.name))
_root = Path(_folder.name) / "videoconf-acme"
sys.path[:0] = [str(_root), str(_root / "tests")]
try:
    AcmeProvider = import_module("videoconf_acme.provider").AcmeProvider
    _kit = import_module("test_conformance")
finally:
    del sys.path[:2]

LIARS = {}


class AcmeKit(_kit.TestAcme):
    """The guide's own tests, of a provider of this class."""

    cls = AcmeProvider

    @pytest.fixture
    def provider(self, harness, acme):
        self.acme = acme
        settings = _kit.AcmeSettings(
            api_url=acme.url, api_key="kit", api_secret=Secret(_kit.SECRET), webhook_secrets=(_kit.OLD,)
        )
        provider = self.cls.create(settings, harness.context)
        yield provider
        provider.close()


def liar(scenario):
    def register(cls):
        name = f"{scenario}-{cls.__name__}" if scenario in LIARS else scenario  # some lie in a second way
        LIARS[name] = type(f"Kit{scenario}", (AcmeKit,), {"cls": cls})
        return cls

    return register


@liar("P20")
class TakesRefusalForHealth(AcmeProvider):
    """Swallows that its credentials are refused."""

    def check(self):
        headers = {"Authorization": f"Bearer {self.settings.api_secret.reveal()}"}
        url = f"{self.settings.api_url}/account"
        self._http.request("GET", url, operation="check", idempotent=True, headers=headers, accept=(401,))


@liar("P20")
class ChoosesHowLongToWait(AcmeProvider):
    """Reports a wait of its own in place of the vendor's Retry-After."""

    def check(self):
        try:
            super().check()
        except ProviderRateLimited:
            raise ProviderRateLimited(retry_after_seconds=60) from None


@liar("P21")
class TriesOnAndOn(AcmeProvider):
    """Waits and tries again by itself, whatever the deadline."""

    def check(self):
        try:
            super().check()
        except ProviderTimeout:
            time.sleep(2.5)
            raise


@liar("P22")
class CallsByItself(AcmeProvider):
    """Uses an HTTP client of its own."""

    def check(self):
        headers = {"Authorization": f"Bearer {self.settings.api_secret.reveal()}"}
        with urlopen(Request(f"{self.settings.api_url}/account", headers=headers), timeout=5) as answer:
            answer.read()


@liar("P23")
class RepeatsCreates(AcmeProvider):
    """Says that a create makes a second room, and repeats it anyway."""

    @property
    def capabilities(self):
        return replace(super().capabilities, idempotent_create=False)
