from videoconf import hookimpl
from videoconf_fake.provider import FakeProvider


class Unsettled(FakeProvider):
    key = "unsettled"
    Settings = dict


@hookimpl
def videoconf_providers():
    return [Unsettled]
