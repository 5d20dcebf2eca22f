from videoconf import hookimpl
from videoconf_fake.provider import FakeProvider


class Shouting(FakeProvider):
    key = "LOUD!"


@hookimpl
def videoconf_providers():
    return [Shouting]
