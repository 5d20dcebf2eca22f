"""The kinds of jobs that wait for something that happened, by the names under which databases keep their rows.

The names of recurring jobs stand where they are declared.
"""

END_SESSION = "end_session"
"""Disconnects everybody of an ended meeting, by its ``meeting_id``."""
ERASE_ARCHIVE = "erase_archive"
"""Deletes all copies of an archive."""
PULL_ARCHIVE = "pull_archive"
"""Copies an archive into the storage target, where the provider does not do that by itself."""
DELETE_PULLED = "delete_pulled_archive"
"""Deletes the provider's copy of what was copied."""
RECONCILE_MEETING = "reconcile_archives_of_meeting"
"""Compares the archives of one meeting with the provider's list."""
RECORD_MEETING = "record_meeting"
"""Starts the recording of one meeting."""
SYNC_STORAGE = "sync_storage"
"""Makes a provider's setting be what is in force here."""
HOLD_BANS = "hold_bans"
"""Disconnects the banned attendees of a meeting, by its ``meeting_id``."""
