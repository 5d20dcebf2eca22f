import threading
from dataclasses import dataclass

from videoconf import hookimpl
from videoconf_fake.provider import FakeProvider


class Unmakeable(FakeProvider):
    key = "createhangs"

    @dataclass(frozen=True)
    class Settings:
        """None."""

    @classmethod
    def create(cls, settings, context):
        threading.Event().wait()


@hookimpl
def videoconf_providers():
    return [Unmakeable]
