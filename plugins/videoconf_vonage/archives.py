"""Read Vonage's archive object, from answers and callbacks alike. Lenient: its numbers can be strings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from videoconf.errors import ProviderConflict, ProviderError
from videoconf.providers import ArchiveState, ArchiveStatus
from videoconf_vonage.connection_data import find_text

METADATA = (
    "outputMode",
    "streamMode",
    "resolution",
    "hasAudio",
    "hasVideo",
    "hasTranscription",
    "multiArchiveTag",
    "maxBitrate",
    "quantizationParameter",
    "sha256sum",
)
"""What is kept of the rest. Its ``url`` reads the recording and its ``password`` opens it: neither is."""

START_CONFLICTS = {"15001": "already_recording", "15008": "session_relayed"}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_archive(document: Mapping[str, Any], account: str) -> ArchiveState:
    """Read an archive object.

    Its key in a storage target is nowhere in it, but documented: account, archive and a name by the kind of output.

    :raises ValueError: it has no id or status, or is not an object (any other error of reading it means the same).
    """
    archive_id, status = document["id"], document["status"]
    if not (isinstance(archive_id, str) and archive_id and isinstance(status, str) and status):
        raise ValueError("an archive lacks its id or its status")
    suffix = "zip" if document.get("outputMode") == "individual" else "mp4"
    return ArchiveState(
        archive_id=archive_id,
        session_id=str(document.get("sessionId") or ""),
        provider_status=status,
        status=ArchiveStatus(status) if status in set(ArchiveStatus) else None,
        name=find_text(document.get("name")),
        created_at=find_time(document.get("createdAt")),
        updated_at=find_time(document.get("updatedAt")),
        duration_seconds=find_count(document.get("duration")),
        size_bytes=find_count(document.get("size")),
        reason=find_text(document.get("reason")),
        object_key=f"{account}/{archive_id}/archive.{suffix}" if status == ArchiveStatus.UPLOADED else None,
        metadata={name: document[name] for name in METADATA if document.get(name) not in (None, "")},
    )


def find_time(milliseconds: object) -> datetime | None:
    """Read a time in milliseconds since 1970; None if it is absent."""
    count = find_count(milliseconds)
    try:
        return None if count is None else _EPOCH + timedelta(milliseconds=count)
    except OverflowError:
        return None


def find_count(value: object) -> int | None:
    """Read a number that is not negative, or a text that is one; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 20:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and value >= 0 else None


def start_error(error: ProviderError) -> ProviderError:
    """Return the core's error for an archive that was not started.

    A session without connections is a 404 today and was a 400; nothing but its message tells it from a session that is
    unknown or an input that is refused.
    """
    reason = START_CONFLICTS.get(error.provider_code or "")
    if not isinstance(error, ProviderConflict):
        is_empty = "clients" in (error.provider_message or "").lower()
        reason = "no_connections" if is_empty else None
    if reason is None:
        return error
    return ProviderConflict(
        provider_status=error.provider_status, provider_code=reason, provider_message=error.provider_message
    )
