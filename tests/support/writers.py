"""Webhooks of which a provider knows nothing, written and signed as its vendor does.

A test says what happened in one vocabulary, whatever the provider: ``connection.created`` and ``connection.destroyed``
with the member ``connection``, ``session.closed``, and ``archive.updated`` with the member ``archive``. Any other type
is an event that no plugin knows, with the members as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from videoconf.providers import ArchiveStatus, Secret
from videoconf_fake.control import Delivery
from videoconf_fake.provider import FakeVendor
from videoconf_fake.webhooks import sign, signer


class Writer(Protocol):
    """Writes a vendor's webhooks."""

    unreadable: tuple[bytes, ...]
    """Bodies that the provider's plugin cannot read."""
    unknown_session: str
    refusal: str
    """The reason for which a webhook that another secret has signed is refused."""
    archive_statuses: Sequence[ArchiveStatus]
    """Those that the vendor's recordings can have."""

    def write(self, type: str, session: str, event_id: str, at: str, **members: Any) -> bytes:
        """Write an event.

        :param at: when it happened, in RFC 3339.
        """

    def signed(self, body: bytes, event_id: str, at: datetime | None = None) -> Delivery:
        """Sign any bytes, as of a time or as of the service's present."""

    def forgeries(self, genuine: Delivery) -> Mapping[str, dict[str, str]]:
        """Give headers that replace those of an authentic webhook, which must be refused with them."""


class FakeWriter:
    """Writes the fake vendor's webhooks."""

    unreadable: tuple[bytes, ...] = (
        b"",
        b"no json",
        b"[]",
        b"null",
        b"{}",
        b"[" * 5000,
        json.dumps({"id": "", "type": "connection.created"}).encode(),
        json.dumps({"id": "e", "type": "connection.created", "session": "s"}).encode(),
        json.dumps({"id": "e" * 201, "type": "connection.created"}).encode(),
    )

    unknown_session = "fs_unknown"
    refusal = "No signature matches."
    archive_statuses: Sequence[ArchiveStatus] = tuple(ArchiveStatus)

    def __init__(self, provider: FakeVendor) -> None:
        self._provider = provider

    def write(self, type: str, session: str, event_id: str, at: str, **members: Any) -> bytes:
        return json.dumps({"id": event_id, "type": type, "session": session, "at": at, **members}).encode()

    def signed(self, body: bytes, event_id: str, at: datetime | None = None) -> Delivery:
        url = self._provider.settings.webhook_url
        headers = sign(self._provider.signers[0], event_id, body, at or self._provider.context.clock())
        return Delivery(event_id, "session", f"{url}/webhooks/fake/session", headers, body)

    def forgeries(self, genuine: Delivery) -> Mapping[str, dict[str, str]]:
        other = signer(Secret("whsec_" + "QQ" * 20))
        return {
            "another secret": sign(other, genuine.event_id, genuine.body, self._provider.context.clock()),
            "no signature": {"webhook-signature": ""},
            "no headers at all": {"webhook-signature": "", "webhook-id": "", "webhook-timestamp": ""},
            "a signature of nothing": {"webhook-signature": "v1,"},
            "another signature": {"webhook-signature": "v1,AAAA"},
            "another scheme": {"webhook-signature": "v0,AAAA"},
            "not base64": {"webhook-signature": "v1,✗".encode().decode("latin-1")},
            "another id": {"webhook-id": "evt_other"},
            "no time": {"webhook-timestamp": "now"},
            "a time of other digits": {"webhook-timestamp": "١٢٣".encode().decode("latin-1")},
            "a huge time": {"webhook-timestamp": "9" * 40},
            "a negative time": {"webhook-timestamp": "-1"},
        }
