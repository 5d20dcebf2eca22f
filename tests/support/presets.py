"""The API's tests on the fake in the shape of each vendor, on LiveKit's stand-in, and on a real Janus if installed.

A test says what it needs of a provider by ``@pytest.mark.needs(…)`` and runs on each preset that has it, besides on the
fake that can do everything. What is missing on the others has tests of its own: the documented error, and nothing done.
In ``make test-long`` the tests of :data:`SUITE` that need nothing in particular run on every preset too. Databases do
not matter for any of it, so presets have SQLite. A test that looks behind the fake's API needs "the fake".
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.settings import BACKENDS

if TYPE_CHECKING:
    from videoconf.providers import Capabilities

SUITE = (
    "archives",
    "door",
    "meetings",
    "storage_delivery",
    "storage_targets",
    "webhooks",
    "test_across_meetings",
    "test_audit_api",
    "test_audit_gaps",
    "test_audit_rows",
    "test_documented_answers",
    "test_every_operation",
    "test_idempotency",
    "test_operations_api",
    "test_people_now",
    "test_presets",
    "test_tenants",
)
"""Folders and modules of tests/integration that test the API, which works on every preset."""

NO_PRESET = pytest.param("", id=pytest.HIDDEN_PARAM)
STORAGE_OF_LIVEKIT = frozenset({None, "archive", "s3"})
"""LiveKit learns of the target with each archive. It uploads to Azure's own hosts, where no test can look."""
JOINED_BY_URL = frozenset({"bbb"})


@dataclass(frozen=True)
class Shape:
    """A preset and what it has, in the words that ``needs`` takes."""

    name: str
    has: frozenset[str]


def shapes() -> Iterator[Shape]:
    """Give every preset with its capabilities, its roles, how its rooms are made, and what else tests ask about.

    Tests that need "join tokens" read those of the fake. With "free names" a webhook may say anything of who a
    participant is; Janus's hold what this service has signed.
    """
    # Not at the top, so that unit tests load no provider.
    from videoconf_fake.presets import PRESETS

    for name, preset in PRESETS.items():
        can = preset.can
        has = {"the fake", "free names", f"data of {can.max_data_characters}"}
        if name not in JOINED_BY_URL:
            has.add("join tokens")
        yield _shape(name, can, *has)
    if shutil.which("janus"):
        from videoconf_janus.provider import CAPABILITIES as can

        yield _shape("janus", can)
    from videoconf_livekit.recording import RECORDING_CAPABILITIES as can

    yield _shape("livekit-standin", can, "free names")


def _shape(name: str, can: "Capabilities", *more: str) -> Shape:
    return Shape(name, frozenset({*can.features, *can.roles, can.session_creation, can.webhook_authentication, *more}))


def words() -> frozenset[str]:
    """Give all that a test may need; a capability that no preset has is one of them."""
    from videoconf.providers import Capability

    return frozenset(Capability).union(*(shape.has for shape in shapes()))


@pytest.fixture
def preset(request: pytest.FixtureRequest) -> str:
    """Name the vendor whose shape the fake has in this test; empty where it can do everything."""
    return getattr(request, "param", "")


@pytest.fixture(scope="session")
def janus_backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Give a running Janus, for all tests of the API that have it as their provider."""
    from tests.plugins.janus.control import JanusBackend
    from tests.plugins.janus.events import EventSink
    from tests.plugins.janus.server import JanusServer

    with EventSink() as sink:
        server = JanusServer(tmp_path_factory.mktemp("janus") / "etc", event_url=sink.url)
        server.start()
        yield JanusBackend(server, sink)
        server.close()


@pytest.fixture(scope="session")
def livekit_backend() -> Iterator[Any]:
    """Give LiveKit's stand-in, for all tests of the API that have it as their provider."""
    from tests.plugins.livekit.control import LiveKitBackend

    with LiveKitBackend() as backend:
        yield backend


def pytest_configure(config: pytest.Config) -> None:
    explained = "needs(*names, long=False): what a provider must have; run on each preset that has it (in the long run)"
    config.addinivalue_line("markers", explained)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what says its needs on the presets that meet them, and the rest of the suite in the long run."""
    if "preset" not in metafunc.fixturenames:
        return
    mark = metafunc.definition.get_closest_marker("needs")  # a test's own, or else its module's
    module = metafunc.module.__name__
    if mark is None and not _is_in(SUITE, module):
        return
    needed = set() if mark is None else set(mark.args)
    if unknown := needed - words():
        raise pytest.UsageError(f"{metafunc.definition.nodeid} needs {sorted(unknown)}, which no provider could have")
    when = [pytest.mark.long] if mark is None or mark.kwargs.get("long") else []
    on_backends = _is_in(SUITE, module)
    able = [shape for shape in shapes() if needed <= shape.has and (shape.name not in BACKENDS or on_backends)]
    found = [pytest.param(shape.name, marks=when, id=shape.name) for shape in able]
    metafunc.parametrize("preset", [NO_PRESET, *found], indirect=True)


def _is_in(part: Sequence[str], module: str) -> bool:
    return module.startswith(tuple(f"tests.integration.{name}" for name in part))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out presets on PostgreSQL, and storage that a preset cannot have."""
    items[:] = [item for item in items if not _is_elsewhere(item)]


def _is_elsewhere(item: pytest.Item) -> bool:
    values = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    preset = values.get("preset")
    if preset == "livekit-standin" and not STORAGE_OF_LIVEKIT.issuperset(
        {values.get("scope"), values.get("storage_server")}
    ):
        return True
    return bool(preset) and values.get("database_url") == "postgresql"
