"""Recorded webhooks, and what each of them says.

A sample is a JSON file::

    {"channel": "session",                  which of the provider's webhooks; "session" when absent
     "received_at": "2026-01-05T10:00:00Z", when it came in, near what its events say
     "headers": {"content-type": "…"},      as recorded, names in lower case
     "query": "checksum=…",                 of our URL, where the vendor signs in it
     "body": {…},                           JSON, or a text that is sent as it is
     "events": [{"kind": "joined", …}]}     what it says: fields of ProviderEvent; others are not compared

``body_base64`` stands for a body that is not text. ``python -m videoconf.testing.record`` writes such files.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from videoconf.providers import ProviderEvent, WebhookRequest

PUBLIC_URL = "https://meetings.example"
TIMES = frozenset({"at", "connected_at", "created_at", "updated_at"})


@dataclass(frozen=True)
class WebhookSample:
    """One webhook and what it says."""

    name: str
    channel: str
    body: bytes
    received_at: datetime
    events: Sequence[Mapping[str, Any]]
    headers: Mapping[str, str]
    query: str = ""

    def request(self, key: str) -> WebhookRequest:
        """Return it as it came in at the provider's webhook."""
        url = f"{PUBLIC_URL}/webhooks/{key}/{self.channel}" + (f"?{self.query}" if self.query else "")
        return WebhookRequest(self.channel, "POST", url, dict(self.headers), self.body, self.received_at)


def load_samples(folder: Path) -> list[WebhookSample]:
    """Read every ``*.json`` of a folder, in the order of the names.

    :raises ValueError: a file is not a sample; the message names it.
    """
    return [_load(path) for path in sorted(folder.glob("*.json"))]


def _load(path: Path) -> WebhookSample:
    try:
        document = json.loads(path.read_text())
        if "body_base64" in document:
            body = base64.b64decode(document["body_base64"], validate=True)
        else:
            content = document["body"]
            body = (content if isinstance(content, str) else json.dumps(content, separators=(",", ":"))).encode()
        received_at = datetime.fromisoformat(document["received_at"])
        if received_at.tzinfo is None:
            raise ValueError("received_at lacks its offset")
        return WebhookSample(
            name=path.stem,
            channel=document.get("channel", "session"),
            body=body,
            received_at=received_at,
            events=document["events"],
            headers={name.lower(): value for name, value in document.get("headers", {}).items()},
            query=document.get("query", ""),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a webhook sample: {type(error).__name__}: {error}") from error


def differences(expected: Mapping[str, Any], event: ProviderEvent) -> list[str]:
    """Say where an event is not what a sample says of it."""
    return _differences(expected, event, "")


def _differences(expected: Mapping[str, Any], found: Any, prefix: str) -> list[str]:
    wrong: list[str] = []
    for name, value in expected.items():
        actual = getattr(found, name)
        if name in TIMES and isinstance(value, str):
            value = datetime.fromisoformat(value)
            if actual is not None and actual.tzinfo is None:
                wrong.append(f"{prefix}{name} has no time zone")
                continue
        if isinstance(value, Mapping) and name in ("archive", "stream") and actual is not None:
            wrong += _differences(value, actual, f"{prefix}{name}.")
        elif actual != value:
            wrong.append(f"{prefix}{name} is {actual!r}, not {value!r}")
    return wrong
