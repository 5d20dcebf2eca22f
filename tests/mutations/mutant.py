"""What a mutant is, and where the tests are that catch most of them."""

from dataclasses import dataclass

ATTENDANCE = "tests/integration/attendance"
MODEL = f"{ATTENDANCE}/test_model.py"
SECOND_ROW = "tests/integration/test_second_row.py"
RECOVERY = "tests/integration/test_recovery.py"
LOAD = "tests/integration/test_load_and_time.py"
TENANTS = "tests/integration/test_tenants.py"
DOOR = "tests/integration/door"
ARCHIVES = "tests/integration/archives"
DELIVERY = "tests/integration/storage_delivery"
PLUGINS = "tests/plugins"


@dataclass(frozen=True)
class Mutant:
    """One change, and the test that must fail because of it."""

    name: str
    path: str
    old: str
    new: str
    test: str
    also: tuple[tuple[str, str, str], ...] = ()
    """Further changes that belong to it, as path, old and new text."""
