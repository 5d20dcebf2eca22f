from videoconf import hookimpl
from videoconf_fake.memory import MemoryTarget


class Namesake(MemoryTarget):
    key = "namesake"


@hookimpl
def videoconf_storage_targets():
    return [Namesake]
