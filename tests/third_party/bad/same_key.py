from videoconf import hookimpl
from videoconf_fake.provider import FakeProvider


class Usurper(FakeProvider):
    label = "Another fake"


@hookimpl
def videoconf_providers():
    return [Usurper]
