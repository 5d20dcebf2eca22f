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


class Inner(Schema):
    depth = fields.Integer(metadata={"example": object()})


class WithInner(Schema):
    area = fields.String()
    password = fields.String()
    inner = fields.Nested(Inner)


class Undocumentable(MemoryTarget):
    key = "ofnothing"
    wire_name = "OFNOTHING"
    configuration_schema = OfNothing


class Unprintable(MemoryTarget):
    key = "withanything"
    wire_name = "WITHANYTHING"
    configuration_schema = WithAnything


class UnprintableInside(MemoryTarget):
    key = "withinner"
    wire_name = "WITHINNER"
    configuration_schema = WithInner


@hookimpl
def videoconf_storage_targets():
    return [Undocumentable, Unprintable, UnprintableInside]
