from videoconf import hookimpl
from videoconf_fake.provider import FakeProvider


class Nameless(FakeProvider):
    key = "nameless"
    label = None


@hookimpl
def videoconf_providers():
    return [Nameless]
