"""A newcomer's service, as ``make run`` starts it."""

import pytest

from tests.support.dev_server import dev_server_in


@pytest.fixture(scope="module")
def dev(tmp_path_factory):
    with dev_server_in(tmp_path_factory.mktemp("dev")) as server:
        yield server
