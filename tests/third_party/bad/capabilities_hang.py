import threading
from dataclasses import dataclass

from videoconf import hookimpl
from videoconf_fake.provider import FakeProvider


class Unmakeable(FakeProvider):
    key = "capabilitieshang"

    @dataclass(frozen=True)
    class Settings:
        """None."""

    def __init__(self, settings, context):
        pass

    @property
    def capabilities(self):
        threading.Event().wait()


@hookimpl
def videoconf_providers():
    return [Unmakeable]
