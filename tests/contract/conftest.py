"""Where the matrix of all operations runs: on SQLite in ``make test``, on PostgreSQL in ``make test-long``."""

import pytest


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what `-m` excludes
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the matrix on PostgreSQL as long: it asks the same thousands of questions about what callers send."""
    for item in items:
        if isinstance(item, pytest.Function) and item.path.name == "test_matrix.py" and "[postgresql" in item.name:
            item.add_marker(pytest.mark.long)
