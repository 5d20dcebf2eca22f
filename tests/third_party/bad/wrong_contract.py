from videoconf import hookimpl
from videoconf_fake.provider import FakeProvider


class FromTheFuture(FakeProvider):
    key = "future"
    contract_version = 99


@hookimpl
def videoconf_providers():
    return [FromTheFuture]
