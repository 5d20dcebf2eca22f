import sys
from dataclasses import dataclass

from videoconf import hookimpl
from videoconf_fake.provider import FakeProvider


class Unmakeable(FakeProvider):
    key = "createexits"

    @dataclass(frozen=True)
    class Settings:
        """None."""

    @classmethod
    def create(cls, settings, context):
        sys.exit(3)


@hookimpl
def videoconf_providers():
    return [Unmakeable]
