"""The row of an archive."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from videoconf.archives.lifecycle import DELETING
from videoconf.db.functions import utc_now
from videoconf.db.types import Model, only

if TYPE_CHECKING:
    from videoconf.meetings.models import Meeting

UNCOPIED = "status = 'available' AND object_key IS NULL AND deleted_on IS NULL AND deleting_since IS NULL"
"""An archive that only the provider has a copy of. A string, as are the next, because an index uses the condition."""
LISTED = "deleted_on IS NULL"
"""Which archives exist for callers."""
SHOWS_STATUS = "coalesce(deleting_since, deleted_on) IS NULL"
"""The archive is listed, and shows its own status. Written so that PostgreSQL cannot prove that ``ix_archive_kept``
would do as well: of a tenant that it does not know beforehand it supposes that half of that index is the tenant's."""
SHOWS_DELETING = f"{LISTED} AND deleting_since IS NOT NULL"


class Archive(Model):
    """A recording. The provider is the source of truth; this row is what it said, and what we mean to do.

    What it said is merged by :mod:`videoconf.archives.lifecycle`. What we mean to do is in the two times of deletion:
    an archive with ``deleted_on`` exists for no caller any more, and one with ``deleting_since`` may still have a copy
    somewhere. Either may be set without the other.
    """

    __tablename__ = "archive"
    __table_args__ = (
        UniqueConstraint("provider", "account", "archive_id"),
        Index(None, "meeting_id", "created_on", "id"),
        Index(None, "tenant", "created_on", "id"),
        Index(None, "check_due_at"),
        Index("ix_archive_listed", "tenant", "created_on", "id", **only(LISTED)),
        Index("ix_archive_status", "tenant", "status", "created_on", "id", **only(SHOWS_STATUS)),
        Index("ix_archive_deleting", "tenant", "created_on", "id", **only(SHOWS_DELETING)),
        Index("ix_archive_kept", "created_on", **only("deleted_on IS NULL AND deleting_since IS NULL")),
        Index("ix_archive_uncopied", "tenant", "created_on", **only(UNCOPIED)),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    meeting_id: Mapped[int] = mapped_column(ForeignKey("meeting.id", ondelete="CASCADE"))
    provider: Mapped[str]
    account: Mapped[str]
    archive_id: Mapped[str]
    name: Mapped[str | None]
    status: Mapped[str]
    """The highest that the provider said; see :attr:`shown_status` for what callers see."""
    provider_status: Mapped[str]
    """The provider's own word."""
    provider_updated_at: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(Text)
    duration_seconds: Mapped[int | None]
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    storage_target_id: Mapped[int | None] = mapped_column(ForeignKey("storage_target.id"))
    object_key: Mapped[str | None] = mapped_column(Text)
    begun_copies: Mapped[dict[str, Any] | None]
    """Where we ever began to put a copy: the key, by the id of the storage target. Noted first and kept, so that a
    copy of which this process did not live to hear is deleted too."""
    legal_hold: Mapped[bool] = mapped_column(default=False)
    meta_data: Mapped[dict[str, Any]]
    created_on: Mapped[datetime] = mapped_column(default=utc_now())
    """When the recording began, as the provider said where that can be true."""
    known_on: Mapped[datetime | None] = mapped_column(default=utc_now())
    """When the service learned of it, by the database's clock; None if an earlier release made the row."""
    modified_on: Mapped[datetime] = mapped_column(default=utc_now())
    check_due_at: Mapped[datetime | None]
    """When the reconciler asks the provider, or continues the deletion, unless a webhook arrives before."""
    deleting_since: Mapped[datetime | None]
    """Since when its copies are being deleted; None again when they are gone, or when the provider refused."""
    deleted_on: Mapped[datetime | None]
    deleted_by: Mapped[str | None]
    """Who asked for the deletion; None if the provider deleted it."""
    deleted_by_type: Mapped[str | None]
    """An :class:`~videoconf.tenancy.ActorType`; None also where a release that did not know it began the deletion."""
    meeting: Mapped[Meeting] = relationship(lazy="raise", viewonly=True)

    @property
    def shown_status(self) -> str:
        """The status for callers: the provider's, or ``deleting``."""
        return self.status if self.deleting_since is None else DELETING

    @property
    def session_id(self) -> str | None:
        return self.meeting.session_id

    @property
    def meeting_link(self) -> str:
        return self.meeting.meeting_link

    @property
    def upload_target(self) -> str | None:
        return self.meeting.upload_target
