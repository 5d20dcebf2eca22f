import threading
from dataclasses import dataclass

from videoconf import hookimpl
from videoconf_fake.provider import FakeProvider


class Unmakeable(FakeProvider):
    key = "settingshang"

    @dataclass(frozen=True)
    class Settings:
        def __post_init__(self):
            threading.Event().wait()


@hookimpl
def videoconf_providers():
    return [Unmakeable]
