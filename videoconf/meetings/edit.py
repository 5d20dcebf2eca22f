"""Edit a meeting: its schedule and the caller's own data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from videoconf.audit import plain, record
from videoconf.db.conditional import update_rows
from videoconf.db.functions import utc_now
from videoconf.db.transactions import write
from videoconf.errors import ReadOnly, ValidationFailed
from videoconf.events.changes import MEETING, note_change
from videoconf.formats import camel_case
from videoconf.meetings.models import Meeting, refuse_ended
from videoconf.meetings.queries import get_meeting
from videoconf.meetings.schedule import check_schedule_time
from videoconf.providers import Clock
from videoconf.tenancy import Caller

READ_ONLY = "Only the service sets it, and it has another value. Leave it out, or send it back as you read it."


class Editing:
    """Edits meetings. One instance serves all threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def edit(
        self,
        caller: Caller,
        link: str,
        changes: Mapping[str, Any],
        fixed: Mapping[str, Any] = MappingProxyType({}),
        must_equal: Collection[str] = (),
    ) -> list[str]:
        """Change what is given of ``is_scheduled``, ``schedule_time``, ``ext_id`` and ``ext_metadata``.

        :param fixed: other properties, as the caller believes them to be. They stay as they are.
        :param must_equal: those of ``fixed`` that the caller must have right.
        :return: those of ``fixed`` that have another value.
        :raises ReadOnly: one of ``must_equal`` has another value.
        :raises MeetingEnded: it has ended, or was deleted.
        :raises ValidationFailed: the schedule would be contradictory, or a new time is past.
        """
        with write() as session:
            # Locked: of two edits at once, each would otherwise write its half of a schedule upon the other's.
            meeting = get_meeting(session, caller, link, lock=True)
            refuse_ended(meeting)
            differing = [name for name, value in fixed.items() if getattr(meeting, name) != value]
            if refused := [name for name in differing if name in must_equal]:
                raise ReadOnly(errors={camel_case(name): [READ_ONLY] for name in refused})
            values = {**changes, **self._new_schedule(meeting, changes)}
            changed = {name: value for name, value in values.items() if getattr(meeting, name) != value}
            if not changed:
                return differing
            before = {name: getattr(meeting, name) for name in changed}
            session.execute(
                update_rows(Meeting)
                .where(Meeting.id == meeting.id)
                .values(**changed, modified_on=utc_now(), modified_by=caller.subject)
            )
            note_change(session, meeting.id, MEETING)
            record(session, caller, "meeting.edited", meeting_link=link, before=plain(before), after=plain(changed))
        return differing

    def _new_schedule(self, meeting: Meeting, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the schedule after the changes. One that stays as it was is valid whatever the time is now."""
        is_scheduled = changes.get("is_scheduled", meeting.is_scheduled)
        time = changes.get("schedule_time", meeting.schedule_time)
        if not is_scheduled:
            if changes.get("schedule_time") is not None and "is_scheduled" not in changes:
                raise ValidationFailed(errors={"scheduleTime": ["Needs isScheduled to be true."]})
            time = None
        elif (is_scheduled, time) != (meeting.is_scheduled, meeting.schedule_time):
            check_schedule_time(time, self._clock)
        return {"is_scheduled": is_scheduled, "schedule_time": time}
