from marshmallow import Schema, fields

from videoconf import hookimpl
from videoconf_fake.memory import MemoryTarget


class OfNothing(Schema):
    area = fields.String()
    password = fields.String()
    inner = fields.Nested("ASchemaThatIsNowhere")


class WithAnything(Schema):
    area = fields.String(metadata={"example": object()})
    password = fields.String()


class Undocumentable(MemoryTarget):
    key = "ofnothing"
    wire_name = "OFNOTHING"
    configuration_schema = OfNothing


class Unprintable(MemoryTarget):
    key = "withanything"
    wire_name = "WITHANYTHING"
    configuration_schema = WithAnything


@hookimpl
def videoconf_storage_targets():
    return [Undocumentable, Unprintable]
