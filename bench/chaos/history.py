"""What happened: calls with their answers, and the faults meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What a call was for."""

    CREATE = "create"
    REUSE = "create, key of another"
    """The key of a create that had succeeded, with another body."""
    EDIT = "edit"
    END = "end"
    TOKEN = "token"
    JOINED = "webhook joined"
    LEFT = "webhook left"
    READ = "read"
    LIST = "list"
    ATTENDEES = "attendees"
    ARCHIVE_START = "archive start"
    ARCHIVE_STOP = "archive stop"
    ARCHIVE_DELETE = "archive delete"
    ARCHIVE_READ = "archive read"
    ARCHIVES = "archives"
    MOODY = "moody provider"
    """A meeting, a token, an end or a webhook of the provider that raises anything."""
    FOREIGN = "foreign"
    """Anything about a meeting or an archive of the other tenant."""


BROKEN = 0
"""Status of a call whose connection broke: it may have happened or not."""
GAVE_UP = -1
"""Status of a call whose client did not want to wait for the answer: it may have happened or not."""


@dataclass
class Call:
    """One request and its outcome. All times come from one monotonic clock."""

    kind: Kind
    tenant: str
    meeting: str
    """The meeting's link; empty if the call concerns no meeting, or a meeting without a link."""
    began: float
    subject: str = ""
    """Idempotency key of a create, value of an edit, connection of a webhook, archive."""
    status: int = BROKEN
    ended: float = 0.0
    answer: str = ""
    """The link that a create gave, the archive that a start gave, the beginning of an error."""
    seen: dict[str, str] = field(default_factory=dict)
    """What a read showed: properties of a meeting, ``there`` or ``left`` by connection, statuses by archive, the links
    of a list."""

    @property
    def done(self) -> bool:
        """It was acknowledged."""
        return 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        """The answer says that nothing was done. After any other answer it may have been done."""
        return 400 <= self.status < 500


@dataclass(frozen=True)
class Fault:
    """Something that was broken for a while."""

    name: str
    began: float
    ended: float
