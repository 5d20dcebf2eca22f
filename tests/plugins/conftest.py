"""What the tests of several plugins share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.chromium import Chromium


@pytest.fixture(scope="module")
def browsers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Chromium]]:
    """Two browsers for all tests of a file, because each start takes seconds."""
    from tests.support.chromium import two_browsers  # Playwright is loaded only where a browser is wanted

    with two_browsers(tmp_path_factory.mktemp("chromium")) as made:
        yield made
