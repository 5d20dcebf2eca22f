"""How many generated histories a law is tried on."""

import pytest

MINUTES_30 = 1800


def few_and_many(few: int, many: int) -> pytest.MarkDecorator:
    """Run a test with ``count`` histories: ``few`` in ``make test``, and once more with ``many`` in ``make laws``."""
    laws = (pytest.mark.laws, pytest.mark.timeout(MINUTES_30))
    return pytest.mark.parametrize("count", [pytest.param(few, id="few"), pytest.param(many, id="many", marks=laws)])
