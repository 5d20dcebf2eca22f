"""The row of a job."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from videoconf.db.functions import utc_now
from videoconf.db.types import BigId, Model


class JobState(StrEnum):
    """``pending`` until done; ``dead`` after too many failures, or one that no repetition can mend."""

    PENDING = "pending"
    DONE = "done"
    DEAD = "dead"


class Job(Model):
    """One piece of work."""

    __tablename__ = "job"
    __table_args__ = (Index(None, "state", "due_at"), Index(None, "state", "id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str]
    key: Mapped[str | None] = mapped_column(unique=True)
    """The kind, where the job recurs: it has one row, which is never done and never dead."""
    payload: Mapped[dict[str, Any]]
    """What the handler needs: ids, never a secret."""
    state: Mapped[str] = mapped_column(default=JobState.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime] = mapped_column(default=utc_now())
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    last_error: Mapped[str | None] = mapped_column(Text)
    """Error code and detail of the last failure."""
    created_on: Mapped[datetime] = mapped_column(default=utc_now())
    finished_on: Mapped[datetime | None]
