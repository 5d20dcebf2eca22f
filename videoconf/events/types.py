"""The types of events, each in one place: the API document, filters, subscriptions and tests take them from here."""

from __future__ import annotations

from enum import StrEnum


class EventType(StrEnum):
    """What happened, as the log names it."""

    MEETING_CREATED = "meeting.created"
    MEETING_UPDATED = "meeting.updated"
    MEETING_STARTED = "meeting.started"
    MEETING_ENDED = "meeting.ended"
    MEETING_DELETED = "meeting.deleted"
    ATTENDEE_JOINED = "attendee.joined"
    ATTENDEE_LEFT = "attendee.left"
    ATTENDEE_UPDATED = "attendee.updated"
    ATTENDEE_REMOVED = "attendee.removed"
    ATTENDEE_BANNED = "attendee.banned"
    ARCHIVE_STARTED = "archive.started"
    ARCHIVE_UPDATED = "archive.updated"
    ARCHIVE_STOPPED = "archive.stopped"
    ARCHIVE_AVAILABLE = "archive.available"
    ARCHIVE_UPLOADED = "archive.uploaded"
    ARCHIVE_FAILED = "archive.failed"
    ARCHIVE_EXPIRED = "archive.expired"
    ARCHIVE_DELETED = "archive.deleted"
    LOBBY_WAITING = "lobby.waiting"
    LOBBY_ADMITTED = "lobby.admitted"
    LOBBY_REFUSED = "lobby.refused"


DESCRIPTIONS = {
    EventType.MEETING_CREATED: "A meeting was created. `data` is the meeting.",
    EventType.MEETING_UPDATED: "Another property of the meeting changed. `data` is the meeting.",
    EventType.MEETING_STARTED: "The first participant joined. `data` is the meeting.",
    EventType.MEETING_ENDED: "The meeting was ended. `data` is the meeting.",
    EventType.MEETING_DELETED: "The meeting was deleted. `data` is the meeting.",
    EventType.ATTENDEE_JOINED: "An attendee who was not connected joined. `data` is the attendee.",
    EventType.ATTENDEE_LEFT: "The last connection of an attendee ended. `data` is the attendee.",
    EventType.ATTENDEE_UPDATED: "Later evidence changed what was reported of an attendee. `data` is the attendee.",
    EventType.ATTENDEE_REMOVED: (
        "The attendee is not listed any more: late evidence merged them into another, or they were erased. `data` is"
        " the attendee as last reported, without `attendee` and `name` where they were erased."
    ),
    EventType.ATTENDEE_BANNED: (
        "An attendee was banned from the meeting. `data` is the ban as the list of bans has it, without its reason;"
        " `createdBy` is null where a participant banned them."
    ),
    EventType.ARCHIVE_STARTED: "A recording started. `data` is the archive.",
    EventType.ARCHIVE_UPDATED: "Another property of an archive changed. `data` is the archive.",
    EventType.ARCHIVE_STOPPED: "A recording stopped. `data` is the archive.",
    EventType.ARCHIVE_AVAILABLE: "An archive can be downloaded from the provider. `data` is the archive.",
    EventType.ARCHIVE_UPLOADED: "An archive is in the storage target. `data` is the archive.",
    EventType.ARCHIVE_FAILED: "A recording failed. `data` is the archive.",
    EventType.ARCHIVE_EXPIRED: "The provider no longer has an archive. `data` is the archive.",
    EventType.ARCHIVE_DELETED: "An archive was deleted. `data` is the archive as last reported, `deleted`.",
    EventType.LOBBY_WAITING: "A person waits to be admitted. `data` is the entry as the list of the lobby has it.",
    EventType.LOBBY_ADMITTED: "A moderator admitted a person. `data` is their entry of the lobby.",
    EventType.LOBBY_REFUSED: "A moderator refused a person. `data` is their entry of the lobby.",
}
"""What each type says, for the API document."""

FACTS = frozenset(
    {EventType.LOBBY_WAITING, EventType.LOBBY_ADMITTED, EventType.LOBBY_REFUSED, EventType.ATTENDEE_BANNED}
)
"""Types that no GET answers: :func:`videoconf.events.changes.announce` records them as they happen."""

PING = "ping"
"""The type of a test delivery. It is sent to one subscription, and the log never has it."""
