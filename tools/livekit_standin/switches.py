"""Differences between deployments, and what no public source settles. A client must work with every combination."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Switches:
    """Each may be set at any time and holds from the next request or webhook on. Defaults: self-hosted, 1.13."""

    cloud: bool = False
    """LiveKit Cloud: RemoveParticipant revokes older tokens, a deleted room lives on for 30 s, the roster of a missing
    room is 404 (reported by users, not documented)."""

    auto_create: bool = True
    """``room.auto_create``: joining creates the room."""

    recorders: int = 4
    """Recorders that can work at once. With 0, starting an egress is 503."""

    records_at_once: bool = False
    """Recorders enter the room as soon as they are asked, not when a test says so."""

    has_redis: bool = True
    """Without Redis, egress methods fail: Start with 503, List and Stop with 500."""

    recorder_answers: bool = True
    """False: StopEgress of a running egress is 408."""

    absent_seconds: float = 0.0
    """How long a call about a participant who is not there takes before its 503; about 3 s on a real server."""

    spaced_webhooks: bool = False
    """A blank after each comma, as Go's encoder writes in some builds."""

    track_events_have_room: bool = True
    """Servers 1.9.0 sent some track events without ``room``."""

    full_room_in_track_events: bool = False
    """``room.enable_full_room_in_webhooks``."""

    sends_joined_at_ms: bool = True
    """``joinedAtMs``, since server 1.8.4."""
