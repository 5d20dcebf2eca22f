"""What storage kinds say of a configuration that they do not take."""

import pytest
from marshmallow.validate import Regexp

from videoconf.hooks import build_registry, load_plugins

KINDS = build_registry(load_plugins()).storage_targets
FIELDS = [
    (name, path, validator)
    for name, registered in KINDS.items()
    for path, field in registered.cls.configuration_schema().fields.items()
    for validator in field.validators
    if isinstance(validator, Regexp)
]


@pytest.mark.parametrize(("kind", "path", "validator"), FIELDS)
def test_a_pattern_is_explained(kind: str, path: str, validator: Regexp) -> None:
    assert validator.error != Regexp.default_message
    assert validator.error.startswith("Must be ")
    assert validator.error.count("Must") == 1
    assert len(validator.error) < 200
