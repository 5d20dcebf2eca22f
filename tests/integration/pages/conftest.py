"""A newcomer's service, as ``make run`` starts it."""

import pytest

from tests.support.dev_server import dev_server_in


@pytest.fixture(scope="module")
def dev(make_memory_folder):
    with dev_server_in(make_memory_folder()) as server:
        yield server
