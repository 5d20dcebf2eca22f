from dataclasses import dataclass

from videoconf import hookimpl
from videoconf_fake.provider import FakeProvider


class Unmakeable(FakeProvider):
    key = "createraises"

    @dataclass(frozen=True)
    class Settings:
        """None."""

    @classmethod
    def create(cls, settings, context):
        raise RuntimeError("no vendor today")


@hookimpl
def videoconf_providers():
    return [Unmakeable]
