"""What every test may use, and what no test may do."""

from __future__ import annotations

import gc
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import hypothesis
import jwt
import pytest

from tests.support.clock import SteppedClock
from tests.support.documented_errors import check_errors
from tests.support.settings import ALL_PERMISSIONS, BACKENDS, FAKE_SETTINGS, JWT_SECRET

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from tests.support.service import Caller, Service
    from videoconf.hooks import Plugins

pytest_plugins = [
    "tests.support.databases",
    "tests.support.poolers",
    "tests.support.presets",
    "tests.support.storage_servers",
    "tools.vonage_standin.fixtures",
]

# Settings of whoever runs the tests must not decide how they end. Gone before any fixture, for subprocesses too.
for name in [name for name in os.environ if name.startswith("VIDEOCONF_")]:
    del os.environ[name]

# Examples follow from the test itself, so that a failure is there again at the next run; `long` goes looking for more:
# pytest --hypothesis-profile=long
hypothesis.settings.register_profile("default", derandomize=True, deadline=None, max_examples=60)
hypothesis.settings.register_profile("long", derandomize=False, deadline=None, max_examples=3000)
hypothesis.settings.load_profile("default")


def pytest_collection_finish() -> None:
    """Spare the garbage collector the thousands of tests and all that they import: it would go through them again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)  # an application is more objects than make it run by default


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Any:
    """Escape what UTF-8 cannot write: half a pair in one test's log lines or example would end a run of processes."""
    return _in_utf_8((yield))


def _in_utf_8(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {_in_utf_8(name): _in_utf_8(one) for name, one in value.items()}
    return type(value)(map(_in_utf_8, value)) if type(value) in (list, tuple) else value


# --- guards ---------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that connects to anything but this machine, also where the code under test swallows the refusal."""
    attempts: list[str] = []

    def check(address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else None
        if host is not None and host != "localhost" and host != "::1" and not str(host).startswith("127."):
            attempts.append(str(host))
            raise OSError(f"a test tried to reach {host}")

    for name in ("connect", "connect_ex"):
        original = getattr(socket.socket, name)

        def guarded(self: socket.socket, address: Any, original: Callable[..., Any] = original) -> Any:
            check(address)
            return original(self, address)

        monkeypatch.setattr(socket.socket, name, guarded)
    yield
    assert not attempts, f"the test tried to reach {attempts}"


@pytest.fixture(autouse=True)
def no_leaked_environment() -> Iterator[None]:
    """Fail a test that leaves an environment variable changed; the next one would run under other settings."""
    before = dict(os.environ)
    yield
    after = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    before.pop("PYTEST_CURRENT_TEST", None)
    if after != before:
        os.environ.clear()
        os.environ.update(before)
    assert after == before


@pytest.fixture(autouse=True)
def no_leaked_logging() -> Iterator[None]:
    """Put back what an application of the test made of logging: its levels are the process's."""
    loggers = [logging.getLogger(name) for name in (None, "videoconf")]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


# --- the application ------------------------------------------------------------------------------------------------


@pytest.fixture
def fake_settings(monkeypatch: pytest.MonkeyPatch, preset: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """Configure the fake provider, or a backend, with secrets that are the same in every run; give its variables."""
    settings = FAKE_SETTINGS | ({"VIDEOCONF_FAKE_PRESET": preset} if preset else {})
    if preset in BACKENDS:
        settings = request.getfixturevalue(f"{BACKENDS[preset]}_backend").environment()
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return settings


@pytest.fixture(scope="session")
def installed_plugins() -> Plugins:
    """The plugins of the environment. Finding them is a good part of making an application."""
    from videoconf.hooks import load_plugins

    return load_plugins()


@pytest.fixture
def make_app(
    database_url: str,
    fake_settings: dict[str, str],
    installed_plugins: Plugins,
    preset: str,
    request: pytest.FixtureRequest,
) -> Iterator[Callable[..., Flask]]:
    """Give a function that makes an app with the fake provider on this test's database.

    Keywords are settings of the core, and those of ``create_app`` (``plugins``, ``clock``, ``serving``). Several apps
    of one test share the database, as nodes do.
    """
    # Not at the top, so that unit tests load neither Flask nor the database.
    from tests.support.change_guard import watch
    from tests.support.routes import shared_routes
    from videoconf.api.services import services
    from videoconf.app import create_app
    from videoconf.db.types import db
    from videoconf.settings import Secret, Settings

    made: list[Flask] = []

    def make(*, plugins: Any = None, serving: bool = True, clock: Any = None, **settings: Any) -> Flask:
        values: dict[str, Any] = {
            "providers": (BACKENDS.get(preset, "fake"),),
            "database_url": Secret(database_url),
            "jwt_secrets": (Secret(JWT_SECRET),),
            "embedded_workers": 0,
            "rate_limit_address": "",  # tests are refused often, and all by one address
        }
        if preset in BACKENDS:
            values["storage_kinds"] = ("s3", "azure", "memory")  # the fake brings the memory along itself
        wiring: dict[str, Any] = {"plugins": plugins or installed_plugins, "serving": serving}
        if clock is not None:
            wiring["clock"] = clock
        with shared_routes():
            app = create_app(Settings(**values | settings), **wiring)
        app.testing = True
        check_errors(app)
        with app.app_context():
            app.extensions["tests.unnoted"] = watch(db.engine)
        if preset in BACKENDS:
            app.extensions["tests.backend"] = request.getfixturevalue(f"{BACKENDS[preset]}_backend")
        made.append(app)
        return app

    yield make
    unnoted = [statement for app in made for statement in app.extensions["tests.unnoted"]]
    for app in made:
        services(app).refusals.close()
        if preset in BACKENDS:
            app.extensions["tests.backend"].close(app)
        with app.app_context():
            db.session.remove()
            db.engine.dispose()
    assert unnoted == [], "the service changed what a GET answers, and left no change row"


@pytest.fixture
def clock() -> SteppedClock:
    """Give a clock that stands still until a test steps it, for ``app_options`` and ``make_app``."""
    return SteppedClock()


@pytest.fixture
def app_options() -> dict[str, Any]:
    """Give the keywords of ``make_app`` that ``app`` is made with: override it in a folder, a module or a class."""
    return {}


@pytest.fixture
def app(make_app: Callable[..., Flask], app_options: dict[str, Any]) -> Flask:
    return make_app(**app_options)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def service(app: Flask, headers: Callable[..., dict[str, str]]) -> Service:
    """Give ``app`` as its callers and its provider see it."""
    from tests.support.service import service_of

    return service_of(app, headers)


@pytest.fixture
def api(service: Service) -> Caller:
    """Give a caller of ``service`` with every permission."""
    return service.api


@pytest.fixture(scope="session")
def headers() -> Callable[..., dict[str, str]]:
    """Give a function that makes request headers with a bearer token; by default it carries every permission.

    Further keywords are claims of the token; a claim of None is left out.
    """

    def make(
        permissions: Any = ALL_PERMISSIONS,
        *,
        tenant: str | None = None,
        subject: str = "tester",
        secret: str = JWT_SECRET,
        **claims: Any,
    ) -> dict[str, str]:
        now = int(time.time())
        payload: dict[str, Any] = {
            "sub": subject,
            "iat": now,
            "exp": now + 3600,
            "iss": "videoconf",
            "aud": "videoconf",
            "permissions": [permissions] if isinstance(permissions, str) else list(permissions),
            "tenant": tenant,
        } | claims
        payload = {name: value for name, value in payload.items() if value is not None}
        return {"Authorization": f"Bearer {jwt.encode(payload, secret, 'HS256')}"}

    return make
