"""The row of a storage target."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from videoconf.db.functions import utc_now
from videoconf.db.types import Model


class StorageTargetRow(Model):
    """A storage target that a tenant configured. Never updated in what it says: a new one is a new row."""

    __tablename__ = "storage_target"
    __table_args__ = (Index(None, "tenant", "state"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    kind: Mapped[str]
    state: Mapped[str]
    configuration: Mapped[bytes]
    """All of it, encrypted."""
    description: Mapped[dict[str, Any]]
    """What may be shown of it."""
    used_by: Mapped[dict[str, Any] | None]
    """The providers that were configured to put archives here, as :func:`user_of` names them, each with the
    storage scope of that setting. Another provider's archives are not here, wherever it says that it put them."""
    created_on: Mapped[datetime] = mapped_column(default=utc_now())
    created_by: Mapped[str]


def user_of(provider: str, account: str) -> str:
    """Name a provider's account in :attr:`StorageTargetRow.used_by`."""
    return f"{provider}:{account}"
