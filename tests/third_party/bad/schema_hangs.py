import threading

from marshmallow import Schema

from videoconf import hookimpl
from videoconf_fake.memory import MemoryTarget


class Endless(MemoryTarget):
    key = "endless"
    wire_name = "ENDLESS"

    class configuration_schema(Schema):
        def __init__(self, **how):
            threading.Event().wait()


@hookimpl
def videoconf_storage_targets():
    return [Endless]
