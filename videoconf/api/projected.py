"""What events hold: what GET answers for a meeting, an attendee and an archive, made by the functions of the views."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from videoconf.api.answers import json_bytes
from videoconf.api.archives import archive_values
from videoconf.api.attendees import attendee_values
from videoconf.api.meetings import meeting_values
from videoconf.archives.models import Archive
from videoconf.attendance.parts import Watched, all_attendees, attendees_of
from videoconf.attendance.presence import Bounds
from videoconf.attendance.queries import Attendance
from videoconf.events.answers import AttendeeAnswer, MeetingAnswer
from videoconf.meetings.models import Meeting
from videoconf.meetings.queries import find_ready


class ApiAnswers:
    """Implements :class:`videoconf.events.answers.Answers`. One instance serves all threads."""

    def __init__(self, attendance: Attendance) -> None:
        self._attendance = attendance

    def meeting(self, session: Session, meeting_id: int) -> MeetingAnswer | None:
        meeting = find_ready(session, meeting_id)
        if meeting is None:
            return None
        link, tenant = meeting.meeting_link, meeting.tenant
        return MeetingAnswer(meeting.id, link, tenant, meeting.ext_id, _in_json(meeting_values(meeting)), meeting)

    def attendees(
        self, session: Session, meeting: MeetingAnswer, connections: Collection[str], attendees: Collection[str]
    ) -> list[AttendeeAnswer]:
        row, bounds = meeting.row, self._attendance.bounds(meeting.row)
        return _answers(row, bounds, attendees_of(session, row, bounds, connections, attendees))

    def all_attendees(self, session: Session, meeting: MeetingAnswer) -> list[AttendeeAnswer]:
        row, bounds = meeting.row, self._attendance.bounds(meeting.row)
        return _answers(row, bounds, all_attendees(session, row, bounds))

    def archives(
        self, session: Session, meeting: MeetingAnswer, archive_ids: Collection[str] | None
    ) -> dict[str, dict[str, Any]]:
        statement = (
            select(Archive)
            .where(Archive.meeting_id == meeting.id, Archive.deleted_on.is_(None))
            .options(joinedload(Archive.meeting, innerjoin=True))
        )
        if archive_ids is not None:
            statement = statement.where(Archive.archive_id.in_(archive_ids))
        return {one.archive_id: _in_json(archive_values(one)) for one in session.execute(statement).scalars()}


def _answers(meeting: Meeting, bounds: Bounds, watched: list[Watched]) -> list[AttendeeAnswer]:
    return [
        AttendeeAnswer(_in_json(attendee_values(one.attendee, meeting.session_id, bounds.now)), one.silent_since)
        for one in watched
    ]


def _in_json(values: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json_bytes(values))
    return document
