"""Participants of a room, in the roster and in webhooks: who counts as a person, and what each sends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from videoconf.providers import RosterConnection
from videoconf_livekit.identity import Bearer, find_bearer
from videoconf_livekit.reading import find_count, find_seconds, find_text, member


def find_person(participant: Any) -> Bearer | None:
    """Return who a participant is; None for a recorder, an agent, a telephone, or one of other software."""
    if find_text(participant, "kind") not in (None, "STANDARD"):
        return None
    return find_bearer(member(participant, "identity"), member(participant, "attributes"))


def find_joined(participant: Any) -> datetime | None:
    """Return when a participant's connection was made, in whole seconds, as the times of events are.

    With its milliseconds, a connection that ends in the second of its beginning would end before it.
    """
    found = find_seconds(participant, "joined_at")
    if found is None and (milliseconds := find_count(participant, "joined_at_ms")):
        found = find_seconds({"seconds": milliseconds // 1000}, "seconds")
    return found


def find_connection(participant: Mapping[str, Any]) -> RosterConnection | None:
    bearer, sid = find_person(participant), participant.get("sid")
    if bearer is None or not isinstance(sid, str):
        return None
    name = participant.get("name")
    return RosterConnection(sid, bearer.attendee, name if isinstance(name, str) else None, find_joined(participant))


def tracks_of(participant: Mapping[str, Any]) -> list[dict[str, Any]]:
    tracks = participant.get("tracks")
    return [track for track in tracks if isinstance(track, dict)] if isinstance(tracks, list) else []


def tracks_to_mute(participant: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """Give the tracks of a participant that can be muted and are not."""
    for track in tracks_of(participant):
        if isinstance(track.get("sid"), str) and track.get("type") != "DATA" and not track.get("muted"):
            yield track
