"""The HTTP layer alone, as a small application called the shell."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.support.settings import JWT_SECRET

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from videoconf.settings import Settings


@pytest.fixture
def settings() -> Settings:
    from videoconf.settings import Secret, Settings

    return Settings(jwt_secrets=(Secret(JWT_SECRET),))


@pytest.fixture
def make_shell() -> Callable[[Settings], Flask]:
    """Give a function that makes the application with other settings."""
    from tests.unit.api.shell import shell_with

    return shell_with


@pytest.fixture
def shell(make_shell: Callable[[Settings], Flask], settings: Settings) -> Flask:
    return make_shell(settings)


@pytest.fixture
def client(shell: Flask) -> FlaskClient:
    return shell.test_client()
