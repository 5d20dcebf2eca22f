from videoconf import hookimpl
from videoconf_fake.memory import MemoryTarget


class Shapeless(MemoryTarget):
    key = "shapeless"
    wire_name = "SHAPELESS"
    configuration_schema = None


@hookimpl
def videoconf_storage_targets():
    return [Shapeless]
