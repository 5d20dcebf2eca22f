"""The service as its callers and its provider see it: the same calls in this process and over HTTP."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import urllib3
from pluggy import PluginManager
from sqlalchemy import func, select

from tests.support.settings import FAKE_SETTINGS
from tests.support.writers import FakeWriter, Writer
from videoconf import hookimpl
from videoconf.api.services import services
from videoconf.db.transactions import read
from videoconf.hooks import Origin, Plugins, load_plugins
from videoconf.meetings.models import Meeting
from videoconf.providers import Provider, ProviderContext, Secret, SessionCreation
from videoconf.testing import Scripted
from videoconf_fake.control import Delivery, FakeControl
from videoconf_fake.provider import FakeProvider, FakeVendor

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For tests of what no database has a part in."""
ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
"""For tests of what SQLite, with its one writer, cannot get wrong."""


@dataclass(frozen=True)
class Answer:
    """A response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> tuple[int, str]:
        """Status and code of an error, whose shape is checked on the way."""
        assert self.headers["Content-Type"] == "application/problem+json", self
        document = self.json
        assert {"type", "title", "status", "code", "detail", "requestId"} <= document.keys(), document
        assert document["status"] == self.status
        return self.status, document["code"]

    @property
    def wrong(self) -> list[str]:
        """The JSON paths that a validation failure names."""
        assert self.problem in ((422, "validation_failed"), (422, "capability_unsupported")), self
        return sorted(self.json["errors"])


Send = Callable[[str, str, bytes | None, Mapping[str, str]], Answer]


def in_process(app: Any) -> Send:
    """Send requests to an application of this process. Thread-safe."""

    def send(method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        response = app.test_client().open(path, method=method, data=body, headers=dict(headers))
        return Answer(response.status_code, response.headers, response.data)

    return send


@contextmanager
def over_http(url: str, *, timeout_seconds: float = 30.0) -> Iterator[Send]:
    """Send requests to a server. Thread-safe, one attempt each."""
    with urllib3.PoolManager(maxsize=32, retries=False, timeout=timeout_seconds) as pool:

        def send(method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
            response = pool.request(method, url + path, body=body, headers=dict(headers), redirect=False)
            return Answer(response.status, response.headers, response.data)

        yield send


class Caller:
    """Whoever sends requests with these headers."""

    def __init__(self, send: Send, headers: Mapping[str, str]) -> None:
        self.send = send
        self.headers = dict(headers)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send one request. A body is sent as JSON, bytes as they are; ``X_Request_ID=…`` is ``X-Request-ID: …``."""
        sent = dict(self.headers)
        if body is not None and not isinstance(body, bytes):
            body, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send(method, path, body, sent)

    def create(self, **options: Any) -> str:
        """Create a meeting and return its link."""
        answer = self("POST", "/session", options)
        assert answer.status == 200, answer
        return str(answer.json)

    def read(self, link: str) -> dict[str, Any]:
        answer = self("GET", f"/session/{link}")
        assert answer.status == 200, answer
        return dict(answer.json)

    def token(self, link: str, **wish: Any) -> dict[str, Any]:
        answer = self("POST", f"/session/{link}/token", wish)
        assert answer.status == 200, answer
        return dict(answer.json)

    def attendees(self, link: str, **query: str) -> list[dict[str, Any]]:
        answer = self("GET", f"/session/{link}/attendees?{urlencode(query)}")
        assert answer.status == 200, answer
        return list(answer.json)


class Service:
    """A running service with the fake provider: its callers, and the people at its provider.

    In this process the provider is scripted: ``service.provider.script("ensure_session", ProviderTimeout())``.
    """

    def __init__(
        self, send: Send, fake: FakeControl, provider: FakeVendor, writer: Writer, headers: Callable[..., Any]
    ) -> None:
        self.send = send
        self.fake = fake
        self.provider = provider
        self.writer = writer
        self.api = Caller(send, headers())
        self._headers = headers
        self.app: Any = None
        """The application, where it is one of this process."""

    def caller_with(self, *args: Any, **claims: Any) -> Caller:
        """Give a caller with another bearer token; the arguments are those of the ``headers`` fixture."""
        return Caller(self.send, self._headers(*args, **claims))

    @property
    def stranger(self) -> Caller:
        """A caller without a token."""
        return Caller(self.send, {})

    # --- people and webhooks ----------------------------------------------------------------------------------------

    def join(self, link: str, **wish: Any) -> str:
        """Let a participant join with what a token request returns; return the connection's id. The webhook waits."""
        return self.fake.join(credential(self.api.token(link, **wish)))

    def room(self, link: str) -> str:
        """Give the id of a meeting's session; a just-in-time provider makes the session with the first token."""
        if self.provider.capabilities.session_creation is SessionCreation.JUST_IN_TIME:
            self.api.token(link)
        return str(self.api.read(link)["sessionId"])

    @property
    def taken(self) -> int:
        """The status by which the provider's own route tells it that a webhook was taken."""
        return self.provider.capabilities.webhook_success_status

    def waiting(self) -> list[Delivery]:
        """Give the webhooks that wait, signed as of now, oldest first."""
        return [self.fake.signed(event) for event in self.fake.list_events(waiting=True)]

    def made_up(self, type: str, session: str | None = None, *, id: str | None = None, **members: Any) -> Delivery:
        """Sign a webhook of which the provider knows nothing: see :mod:`tests.support.writers`.

        :param session: where no meeting has a session, if none is given.
        """
        event_id = id or f"evt_made_up_{time.monotonic_ns()}"
        members = {"at": now_text(), **members}
        return self.signed(
            self.writer.write(type, session or self.writer.unknown_session, event_id, **members), event_id
        )

    def signed(self, body: bytes, event_id: str = "evt_made_up", *, at: datetime | None = None) -> Delivery:
        """Sign any bytes."""
        return self.writer.signed(body, event_id, at)

    def forged(self) -> Delivery:
        """Give a webhook that another secret has signed."""
        genuine = self.made_up("connection.created")
        return replace(genuine, headers=genuine.headers | self.writer.forgeries(genuine)["another secret"])

    @property
    def webhook_path(self) -> str:
        """The provider's own route for what happens in sessions."""
        return f"/webhooks/{self.provider.key}/session"

    def post(self, delivery: Delivery, path: str = "/webhooks/session", **headers: str) -> Answer:
        """Post a webhook as the vendor does, with no bearer token. Headers replace those of the webhook."""
        sent = {**delivery.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.send("POST", path, delivery.body, sent)

    def project(self) -> None:
        """Turn every change that waits into events; the service must be one of this process."""
        with self.app.app_context():
            services(self.app).projector.run()

    def lose(self) -> None:
        """Let what waits get lost on its way."""
        self.fake.deliver(lambda delivery: self.taken)

    def deliver(self) -> None:
        """Post what waits, each to its channel; all of it must be taken."""
        result = self.fake.deliver(
            lambda delivery: self.post(delivery, f"/webhooks/{self.provider.key}/{delivery.channel}").status
        )
        assert result.waiting == 0, result


def credential(issued: Mapping[str, Any]) -> str:
    """Give what a participant joins with: the token, or the token inside the URL."""
    token: str | None = issued["token"]
    return token or parse_qs(urlsplit(issued["connect"]["url"]).query)["token"][0]


def now_text(**later: float) -> str:
    """Write the present, or a time so much later, as the API takes it."""
    return (datetime.now(UTC) + timedelta(**later)).isoformat().replace("+00:00", "Z")


def moment(text: str) -> datetime:
    """Read a time of an answer. Texts do not sort as times do: the text of a whole second has no fraction."""
    return datetime.fromisoformat(text)


def service_of(app: Any, headers: Callable[..., Any]) -> Service:
    """Give the service that an application of this process is, and the fake provider in its memory, or a backend."""
    backend = app.extensions.get("tests.backend")
    provider = Scripted(services(app).providers.get("fake" if backend is None else backend.provider))
    if backend is None:
        assert isinstance(provider, FakeVendor)
        control, writer = FakeControl(provider.real), FakeWriter(provider.real)
    else:
        control, writer = backend.control(app, provider.real), backend.writer(provider.real)
    service = Service(in_process(app), control, provider, writer, headers)
    service.app = app
    return service


@contextmanager
def service_at(url: str, state: Path, headers: Callable[..., Any]) -> Iterator[Service]:
    """Give the service that a server is; its fake provider's people are driven from here, by the file of its state."""
    settings = FakeProvider.Settings(
        webhook_secrets=(Secret(FAKE_SETTINGS["VIDEOCONF_FAKE_WEBHOOK_SECRETS"]),),
        token_secret=Secret(FAKE_SETTINGS["VIDEOCONF_FAKE_TOKEN_SECRET"]),
        state=str(state),
        webhook_url=url,
    )

    def no_client(account: str) -> Any:
        raise AssertionError("the fake provider has no network")

    provider = FakeProvider(settings, ProviderContext(lambda: datetime.now(UTC), no_client))
    with over_http(url) as send, closing(provider):
        yield Service(send, FakeControl(provider), provider, FakeWriter(provider), headers)


def plugins_with(*classes: type[Provider]) -> Plugins:
    """Give plugins for ``create_app`` that bring these classes and no others."""
    manager: PluginManager = load_plugins([]).manager
    plugin = ModuleType("tests_plugin")
    plugin.videoconf_providers = hookimpl(lambda: list(classes))
    manager.register(plugin, name="tests")
    names = frozenset(cls.key for cls in classes)
    return Plugins(manager, {"tests": Origin("tests", "the tests")}, (), names=names)


def count_meetings(app: Any) -> int:
    """Count the rows, those included that the API does not show."""
    with app.app_context(), read() as session:
        return session.execute(select(func.count()).select_from(Meeting)).scalar_one()


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Make the calls in as many threads, let go together; return what they return, in their order."""
    barrier = threading.Barrier(len(calls))

    def call(one: Callable[[], Any]) -> Any:
        barrier.wait()
        return one()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))
