"""The fake provider and its storage in memory pass the kits, so that tests against them are worth something."""

from tests.plugins.fake.fake_kit import FakeKit


class TestFake(FakeKit):
    """As it is configured by default."""
