"""Recordings: what LiveKit calls an egress, in answers and webhooks, and where its file goes."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any

from videoconf.errors import ProviderRejected
from videoconf.providers import ArchiveRequest, ArchiveState, ArchiveStatus, StorageDestination
from videoconf_livekit.reading import NANOSECONDS, find_count, find_nanoseconds, find_text, member

STORAGE_KINDS = frozenset({"s3", "azure"})
AZURE_DOMAIN = "blob.core.windows.net"

STATUSES: Mapping[str, ArchiveStatus] = {
    "EGRESS_STARTING": ArchiveStatus.STARTED,
    "EGRESS_ACTIVE": ArchiveStatus.STARTED,
    "EGRESS_ENDING": ArchiveStatus.STOPPED,
    "EGRESS_COMPLETE": ArchiveStatus.AVAILABLE,
    "EGRESS_LIMIT_REACHED": ArchiveStatus.AVAILABLE,
    "EGRESS_FAILED": ArchiveStatus.FAILED,
    "EGRESS_ABORTED": ArchiveStatus.FAILED,
}
"""``EGRESS_STARTING`` is the value 0, which webhooks leave out."""
OUTPUTS = {"composed": {}, "audio": {"audio_only": True}}
"""What an archive may consist of: one picture of everybody, or their sound alone."""
FILE_TYPES = {"composed": "MP4", "audio": "OGG"}

KEY = re.compile(r"(?:^|/)(videoconf/[A-Za-z0-9_.-]+/[0-9a-f]{32}\.(?:mp4|ogg))")
"""The key that :func:`start_body` gives to a file, behind the prefix of the storage target."""


def start_body(room: str, request: ArchiveRequest) -> dict[str, Any]:
    """Return the request that records a room into one file.

    The file's key is unique, so that a start whose outcome is unknown is found again, and no two files meet.

    :raises ProviderRejected: LiveKit cannot do what the request or the storage target says.
    """
    output = request.output or "composed"
    if output not in OUTPUTS:
        message = f"LiveKit's outputs are {' and '.join(OUTPUTS)}."
        raise ProviderRejected(message, errors={"output": [message]})
    file_type = FILE_TYPES[output]
    key = f"videoconf/{room}/{secrets.token_hex(16)}.{file_type.lower()}"
    file: dict[str, Any] = {"file_type": file_type, "filepath": key, "disable_manifest": True}
    if request.storage is not None:
        if prefix := str(request.storage.configuration.get("prefix") or "").strip("/"):
            file["filepath"] = f"{prefix}/{key}"
        file |= upload(request.storage)
    body: dict[str, Any] = {"room_name": room, "file_outputs": [file], **OUTPUTS[output]}
    if request.layout is not None:
        body["layout"] = request.layout
    return body


def upload(storage: StorageDestination) -> dict[str, Any]:
    """Return the member of a file output that names a storage target.

    :raises ProviderRejected: LiveKit cannot put a file there.
    """
    configuration = storage.configuration
    if configuration.get("fallback") == "provider":
        message = "LiveKit keeps no file that it cannot upload."
        raise ProviderRejected(message, errors={"fallback": [message]})
    if configuration.get("sse"):
        message = "LiveKit asks for no encryption. Without `sse`, the bucket's own setting holds."
        raise ProviderRejected(message, errors={"sse": [message]})
    if storage.kind == "s3":
        endpoint = configuration.get("endpoint") or ""
        path_style = configuration.get("path_style")
        return {
            "s3": {
                "access_key": configuration["access_key"],
                "secret": configuration["secret_key"],
                "region": configuration["region"],
                "bucket": configuration["bucket"],
                "endpoint": endpoint,
                # Without it, a server at an address or a private name cannot be reached.
                "force_path_style": bool(endpoint) if path_style is None else bool(path_style),
            }
        }
    if storage.kind == "azure":
        if configuration.get("domain", AZURE_DOMAIN) != AZURE_DOMAIN:
            message = f"LiveKit uploads to Azure at {AZURE_DOMAIN} alone."
            raise ProviderRejected(message, errors={"domain": [message]})
        names = {"account_name": "account_name", "account_key": "account_key", "container_name": "container"}
        return {"azure": {name: configuration[ours] for name, ours in names.items()}}
    raise ProviderRejected("LiveKit uploads to S3 and Azure alone.")


def is_running(found: Mapping[str, Any]) -> bool:
    """Return whether an egress records, or is about to."""
    return _status(found) in ("EGRESS_STARTING", "EGRESS_ACTIVE")


def find_archive(found: Any) -> ArchiveState | None:
    """Read an egress; None for one that makes no file, such as a live stream.

    A file under a key of ours is in the storage target that went with the request, unless the recorder had to use its
    own backup storage. Any other file is where the recorder or other software put it.

    :raises ValueError: it has no id or no room.
    """
    if not _makes_file(found):
        return None
    egress_id, room = find_text(found, "egress_id"), find_text(found, "room_name")
    if egress_id is None or room is None:
        raise ValueError("an egress lacks its id or its room")
    provider_status = _status(found)
    status = STATUSES.get(provider_status)
    results = member(found, "file_results")
    file = results[0] if isinstance(results, list) and results else member(found, "file")
    in_backup = bool(member(found, "backup_storage_used"))
    key = KEY.search(find_text(file, "filename") or "")
    is_uploaded = status is ArchiveStatus.AVAILABLE and key is not None and _has_target(found) and not in_backup
    duration = find_count(file, "duration") or None  # 0 stands for none, as in all that answers write out
    details = (find_text(found, "details") or "").removeprefix("End reason: ")
    metadata = {
        "errorCode": find_count(found, "error_code") or None,
        "layout": find_text(_request(found), "layout") or find_text(member(_request(found), "template"), "layout"),
        "inBackupStorage": in_backup or None,
    }
    return ArchiveState(
        archive_id=egress_id,
        session_id=room,
        provider_status=provider_status,
        status=ArchiveStatus.UPLOADED if is_uploaded else status,
        created_at=find_nanoseconds(found, "started_at"),
        updated_at=find_nanoseconds(found, "updated_at") or find_nanoseconds(found, "ended_at"),
        duration_seconds=None if duration is None else duration // NANOSECONDS,
        size_bytes=find_count(file, "size") or None,
        reason=find_text(found, "error") or details or None,
        object_key=key[1] if is_uploaded and key is not None else None,
        metadata={name: value for name, value in metadata.items() if value is not None},
    )


def _status(found: Mapping[str, Any]) -> str:
    return find_text(found, "status") or "EGRESS_STARTING"


def _request(found: Any) -> Any:
    """Return the request that an egress repeats: of the older method, or of the newer one."""
    return member(found, "room_composite") or member(found, "egress") or member(found, "web") or {}


def _file_outputs(found: Any) -> list[Any]:
    request = _request(found)
    outputs = [member(request, "file_outputs"), member(request, "outputs"), member(request, "file")]
    return [one for of_form in outputs for one in (of_form if isinstance(of_form, list) else [of_form]) if one]


def _makes_file(found: Any) -> bool:
    return bool(member(found, "file_results") or member(found, "file") or _file_outputs(found))


def _has_target(found: Any) -> bool:
    """Return whether the request named the storage, as we do for a tenant's target."""
    places = [*_file_outputs(found), _request(found), *(member(one, "storage") for one in _file_outputs(found))]
    places.append(member(_request(found), "storage"))
    return any(member(place, kind) for place in places for kind in STORAGE_KINDS)
