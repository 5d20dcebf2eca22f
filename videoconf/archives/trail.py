"""What happens to an archive, in the audit trail."""

from __future__ import annotations

from typing import Any

from videoconf.archives.models import Archive
from videoconf.audit import record
from videoconf.db.transactions import Transaction
from videoconf.tenancy import Caller


def record_archive(transaction: Transaction, caller: Caller, action: str, archive: Archive, **values: Any) -> None:
    """Record an action on an archive; the archive was read with its meeting."""
    link = archive.meeting.meeting_link
    record(transaction, caller, action, meeting_link=link, target=archive.archive_id, **values)
