from dataclasses import dataclass

from videoconf import hookimpl
from videoconf_fake.provider import FakeProvider


class Unmakeable(FakeProvider):
    key = "creategivesnothing"

    @dataclass(frozen=True)
    class Settings:
        """None."""

    @classmethod
    def create(cls, settings, context):
        return None


@hookimpl
def videoconf_providers():
    return [Unmakeable]
