"""The plugin of ``make chaos`` whose methods raise, every second time, what would end a process or a thread."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from videoconf import hookimpl
from videoconf.providers import (
    Capabilities,
    Capability,
    HasRoster,
    JoinToken,
    Provider,
    ProviderEvent,
    Roster,
    SessionRef,
    SessionRequest,
    TokenRequest,
    WebhookReply,
    WebhookRequest,
)

KEY = "moody"


class OwnError(BaseException):
    """An error of the plugin's own that is no Exception."""


RAISED = (SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, StopIteration, OwnError, MemoryError)


def sulk(always: bool = False) -> None:
    """Raise one of the errors, half of the times."""
    if always or random.random() < 0.5:
        raise random.choice(RAISED)


@dataclass(frozen=True)
class MoodySettings:
    """It needs none."""


class MoodyProvider(Provider, HasRoster):
    key = KEY
    label = "Moody"
    Settings = MoodySettings

    @property
    def account(self) -> str:
        return KEY

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(features=frozenset({Capability.ROSTER}))

    def ensure_session(self, request: SessionRequest) -> SessionRef:
        sulk()
        return SessionRef(self.account, f"moody-{uuid.uuid4()}")

    def end_session(self, session: SessionRef, connections: Sequence[str]) -> None:
        sulk()

    def issue_token(self, session: SessionRef, request: TokenRequest) -> JoinToken:
        sulk()
        return JoinToken("token", request.expires_at)

    def list_connections(self, session: SessionRef) -> Roster:
        sulk()
        return Roster([], complete=True)

    def verify_webhook(self, request: WebhookRequest) -> None:
        sulk(always=True)

    def answer_handshake(self, request: WebhookRequest) -> WebhookReply | None:
        sulk()
        return None

    def parse_webhook(self, request: WebhookRequest) -> list[ProviderEvent]:
        sulk()
        return []

    def check(self) -> None:
        sulk()

    def close(self) -> None:
        sulk(always=True)


@hookimpl
def videoconf_providers() -> Iterable[type[Provider]]:
    return [MoodyProvider]


def install(folder: Path) -> None:
    """Write what makes the plugin an installed one, for processes whose PYTHONPATH has the folder."""
    about = folder / f"{KEY}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {KEY}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[videoconf]\n{KEY} = {__name__}\n")
