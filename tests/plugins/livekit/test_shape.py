"""The fake in LiveKit's shape, on which the whole suite of the API runs, has the facts of the real provider."""

from dataclasses import fields

from videoconf.providers import Capabilities, Capability
from videoconf_fake.presets import PRESETS
from videoconf_livekit.recording import RECORDING_CAPABILITIES

OTHERWISE = {
    "features": "the fake in this shape pushes no archives",
    "webhook_channels": "the fake has one for archives",
    "storage_scope": "as the features",
    "storage_kinds": "as the features",
    "storage_set_elsewhere": "as the features",
    "deletes_archives": "the fake deletes its own archives in every shape",
}


def test_fake_preset_has_the_facts_of_the_provider():
    shape = PRESETS["livekit"].can
    for field in fields(Capabilities):
        if field.name not in OTHERWISE:
            assert getattr(shape, field.name) == getattr(RECORDING_CAPABILITIES, field.name), field.name
    assert RECORDING_CAPABILITIES.features - shape.features == {Capability.STORES_ARCHIVES}
    assert shape.features <= RECORDING_CAPABILITIES.features
