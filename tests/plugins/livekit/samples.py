"""The sample webhooks of ``data/``, and what each of them says."""

import json
from datetime import datetime
from pathlib import Path

from videoconf.testing.samples import WebhookSample

DATA = Path(__file__).parent / "data"
HEADERS = json.loads((DATA / "headers.json").read_text())
KEYS = HEADERS["keys"]
API_KEY, OTHER_KEY = KEYS
ROOM = "vc-m1"
IGNORED = [{"kind": "ignored"}]

ANN = {"session_id": ROOM, "connection_id": "PA_aN1kQ7vYw3Zd", "attendee": "ann@example.org"}
ANN_AGAIN = {"session_id": ROOM, "connection_id": "PA_aN2rT5uXb8Lm", "attendee": "ann@example.org"}
BOB = {"session_id": ROOM, "connection_id": "PA_bOb4Hs6Jk9Qw", "attendee": "bob"}
BOB_AGAIN = {"session_id": ROOM, "connection_id": "PA_bOb8Vc2Nm4Er", "attendee": "bob"}


def at(clock, since=None):
    times = {"at": f"2026-01-05T{clock}Z"}
    return times | ({"connected_at": f"2026-01-05T{since}Z"} if since else {})


def archive(status, provider_status, id="EG_yXb6exp4bnwW", **fields):
    said = {"archive_id": id, "session_id": ROOM, "status": status, "provider_status": provider_status, **fields}
    return [{"kind": "archive", "session_id": ROOM, "archive": said}]


EVENTS = {
    "02_participant_joined": [{"kind": "joined", **ANN, "name": "Ann Ångström", **at("10:00:04", "10:00:03")}],
    "03_track_published_camera": [{"kind": "activity", **ANN, **at("10:00:05"), "connected_at": None}],
    "04_track_published_microphone": [{"kind": "activity", **ANN, **at("10:00:05")}],
    "05_participant_joined_second_tab": [{"kind": "joined", **ANN_AGAIN, **at("10:00:30", "10:00:29")}],
    "06_participant_joined_subscriber": [{"kind": "joined", **BOB, **at("10:00:40", "10:00:39")}],
    "07_egress_started": archive("started", "EGRESS_STARTING", created_at="2026-01-05T10:01:40.123456Z"),
    "09_egress_updated_active": archive("started", "EGRESS_ACTIVE", updated_at="2026-01-05T10:01:43.123456Z"),
    "14_participant_left": [{"kind": "left", **ANN_AGAIN, "reason": "client_initiated", **at("10:05:00", "10:00:29")}],
    "15_participant_left_duplicate": [{"kind": "left", **BOB, "reason": "duplicate_identity", **at("10:06:40")}],
    "16_participant_joined_again": [{"kind": "joined", **BOB_AGAIN, **at("10:06:40", "10:06:39")}],
    "17_participant_left_removed": [{"kind": "left", **BOB_AGAIN, "reason": "participant_removed", **at("10:08:20")}],
    "18_track_unpublished": [{"kind": "activity", **ANN, **at("10:24:50")}],
    "19_egress_updated_ending": archive("stopped", "EGRESS_ENDING"),
    # Not one of our keys: the file is where other software put it.
    "21_egress_ended_complete": archive(
        "available", "EGRESS_COMPLETE", size_bytes=18023312, duration_seconds=1400, object_key=None
    ),
    "22_participant_left_room_deleted": [{"kind": "left", **ANN, "reason": "room_deleted", **at("10:30:00")}],
    "23_participant_left_timeout": [
        {"kind": "left", "connection_id": "PA_dAn3Qq5Ww7Ee", "attendee": "dan", "reason": "connection_timeout"}
    ],
    "24_participant_left_no_reason": [
        {"kind": "left", "connection_id": "PA_eVe3Qq5Ww7Ee", "attendee": "eve", "reason": None}
    ],
    # One second before: times have whole seconds.
    "25_room_finished": [{"kind": "session_closed", "session_id": ROOM, **at("10:30:01")}],
    "26_room_finished_with_reason": [{"kind": "session_closed", "session_id": ROOM, **at("10:30:01")}],
    "27_egress_ended_failed": archive("failed", "EGRESS_FAILED", id="EG_fAiLEd111111"),
    "28_egress_ended_aborted": archive("failed", "EGRESS_ABORTED", id="EG_aBoRTed11111"),
    "29_egress_ended_limit": archive("available", "EGRESS_LIMIT_REACHED", id="EG_lImITed11111"),
    "30_egress_ended_backup": archive(
        "available", "EGRESS_COMPLETE", id="EG_bAcKUp111111", metadata={"layout": "grid", "inBackupStorage": True}
    ),
    "31_egress_ended_v2": archive("available", "EGRESS_COMPLETE", id="EG_v2ReQuEst111", size_bytes=9011656),
    "34_participant_joined_spaced": [{"kind": "joined", **ANN, **at("10:00:04", "10:00:03")}],
}
"""What is not here is ignored: rooms that open, recorders, agents, telephones, aborted connections, news."""


def header_cases():
    """Give every header with its body: (case, body, header, received_at, accept)."""
    for one in HEADERS["headers"]:
        body = (DATA / one["file"]).read_bytes()
        case = f"{one['file'].removesuffix('.json')}-{one['case']}"
        yield case, body, one["authorization"], datetime.fromisoformat(one["received_at"]), one["accept"]


def samples():
    """Give the bodies with their good headers, and what each says."""
    good = {one["file"]: one for one in HEADERS["headers"] if one["case"] == "good"}
    for row in json.loads((DATA / "index.json").read_text()):
        name = row["file"].removesuffix(".json")
        yield WebhookSample(
            name=name,
            channel="session",
            body=(DATA / row["file"]).read_bytes(),
            received_at=datetime.fromisoformat(row["received_at"]),
            events=EVENTS.get(name, IGNORED),
            headers={"authorization": good[row["file"]]["authorization"], "content-type": "application/webhook+json"},
        )
