"""Mutants of who was there, and of meetings: created, joined and ended."""

from tests.mutations.mutant import ATTENDANCE, DELIVERY, LOAD, MODEL, RECOVERY, TENANTS, Mutant

MUTANTS = [
    Mutant(
        "the earliest join and the latest leave swapped for their opposites",
        "videoconf/attendance/merge.py",
        '"first_join": least(row.first_join, new.first_join)',
        '"first_join": greatest(row.first_join, new.first_join)',
        f"{MODEL}::test_the_api_answers_as_the_model",
    ),
    Mutant(
        "the latest leave swapped for the earliest",
        "videoconf/attendance/merge.py",
        '"last_leave": greatest(row.last_leave, new.last_leave)',
        '"last_leave": least(row.last_leave, new.last_leave)',
        f"{MODEL}::test_the_api_answers_as_the_model",
    ),
    Mutant(
        "the end of a stream counts as a leave",
        "plugins/videoconf_fake/webhooks.py",
        '"stream.destroyed": EventKind.ACTIVITY',
        '"stream.destroyed": EventKind.LEFT',
        f"{ATTENDANCE}/test_vendor.py::test_switching_off_a_camera_ends_no_connection",
    ),
    Mutant(
        "rows kept by attendee instead of connection",
        "videoconf/attendance/merge.py",
        '"connection_id": event.connection_id, **columns}',
        '"connection_id": event.attendee or event.connection_id, **columns}',
        f"{ATTENDANCE}/test_laws.py::test_history_gives_the_expected_connections",
    ),
    Mutant(
        "a tie of leave and join counts as presence",
        "videoconf/attendance/presence.py",
        "evidence.last_join > evidence.last_leave)",
        "evidence.last_join >= evidence.last_leave)",
        f"{ATTENDANCE}/test_laws.py::test_history_gives_the_expected_connections",
    ),
    Mutant(
        "SQL that takes a tie for presence where the reducer does not",
        "videoconf/attendance/presence.py",
        "c.last_join <= c.last_leave)",
        "c.last_join < c.last_leave)",
        f"{MODEL}::test_the_api_answers_as_the_model",
    ),
    Mutant(
        "events of before the meeting believed if they were orphans",
        "videoconf/webhooks/receive.py",
        "outcome = _apply_if_credible(transaction, bound.meeting_id, bound.created_on, event, has_bans=True)",
        "outcome = Outcome(_apply(transaction, bound.meeting_id, event, has_bans=True).value)",
        f"{MODEL}::test_order_and_repetition_of_events_change_no_byte",
    ),
    Mutant(
        "one list without a connection counts as a leave",
        "videoconf/attendance/roster.py",
        "first, observed_on, missed_on=observed_on)",
        "first, observed_on, absent_on=observed_on)",
        f"{ATTENDANCE}/test_roster.py::test_person_missing_from_two_lists_left_at_the_first",
    ),
    # A second row: what is changed is one meeting's, and the others' rows look the same.
    Mutant(
        "the closing of one session closes every meeting",
        "videoconf/webhooks/receive.py",
        "update(_MEETINGS).where(_MEETING.id == meeting_id).values(closed_at=closed_at)",
        "update(_MEETINGS).values(closed_at=closed_at)",
        f"{ATTENDANCE}/test_same_ids.py::test_change_concerns_ids_of_its_own_meeting[sqlite-closes]",
    ),
    Mutant(
        "binding one session rewrites every row of the inbox",
        "videoconf/webhooks/receive.py",
        "update(INBOX).where(INBOX.c.id == event_id).values(values)",
        "update(INBOX).values(values)",
        f"{ATTENDANCE}/test_same_ids.py::test_binding_one_session_applies_its_orphans_alone",
    ),
    Mutant(
        "a roster applied to the same connection ids of every meeting",
        "videoconf/attendance/roster.py",
        "theirs = and_(c.meeting_id == meeting_id, c.connection_id",
        "theirs = and_(c.connection_id",
        f"{ATTENDANCE}/test_same_ids.py::test_change_concerns_ids_of_its_own_meeting[sqlite-is_missed]",
    ),
    # Leaves, lists and order.
    Mutant(
        "an attendee who left once counts as gone after a rejoin",
        "videoconf/attendance/presence.py",
        "LEAVE_STANDS = and_(c.last_leave.is_not(None), or_(c.last_join.is_(None), c.last_join <= c.last_leave))",
        "LEAVE_STANDS = c.last_leave.is_not(None)",
        f"{ATTENDANCE}/test_rejoining.py::test_page_of_active_shows_rejoined_person",
    ),
    Mutant(
        "an older leave's reason put in place of a later one's",
        "videoconf/attendance/merge.py",
        "        new.last_leave > row.last_leave,\n",
        "        new.last_leave < row.last_leave,\n",
        f"{ATTENDANCE}/test_rejoining.py::test_reason_is_that_of_latest_leave",
    ),
    Mutant(
        "a rejoined person not looked for in the provider's list",
        "videoconf/attendance/presence.py",
        "NO_LEAVE_STANDS = or_(c.last_leave.is_(None), c.last_join > c.last_leave)",
        "NO_LEAVE_STANDS = c.last_leave.is_(None)",
        f"{ATTENDANCE}/test_rejoining.py::test_rejoined_person_of_old_meeting_is_polled",
    ),
    Mutant(
        "a provider that is down asked once for each meeting",
        "videoconf/attendance/roster.py",
        "failed.add(meeting.provider)",
        "pass",
        f"{ATTENDANCE}/test_providers_that_are_down.py::test_provider_that_is_down_is_asked_once_a_run",
    ),
    Mutant(
        "a patient provider asked in every run for a hasty one",
        "videoconf/attendance/roster.py",
        "latest = utc_in(-(self._periods[key] - self._period / 2))",
        "latest = utc_in(0)",
        f"{ATTENDANCE}/test_roster_periods.py::test_each_provider_is_asked_at_its_own_period[sqlite]",
    ),
    Mutant(
        "an end that passes no connections",
        "videoconf/meetings/end.py",
        "connections = open_connections(session, meeting.id)",
        "connections = open_connections(session, meeting.id)[:0]",
        f"{ATTENDANCE}/test_rejoining.py::test_end_passes_connections_that_did_not_leave",
    ),
    Mutant(
        "a person who came back never missed again",
        "videoconf/attendance/roster.py",
        "again, observed_on, absent_on=c.missed_on, missed_on=None)",
        "again, observed_on, absent_on=c.missed_on)",
        f"{ATTENDANCE}/test_roster.py::test_person_who_came_back_needs_two_more_lists_to_leave",
    ),
    Mutant(
        "people of whom no join is known put last on a page",
        "videoconf/attendance/presence.py",
        "case((or_(c.last_leave.is_(None), c.first_activity <= c.last_leave), c.first_activity))",
        "case((c.first_activity <= c.last_leave, c.first_activity))",
        f"{ATTENDANCE}/test_laws.py::test_first_sign_of_presence_orders_people",
    ),
    Mutant(
        "a person's connections listed in any order",
        "videoconf/attendance/presence.py",
        "    connections.sort()\n",
        "",
        f"{ATTENDANCE}/test_laws.py::test_connections_of_a_person_are_in_order_of_joins",
    ),
    Mutant(
        "a page of attendees read at two moments",
        "videoconf/attendance/queries.py",
        "        with read(snapshot=True) as session:\n"
        "            meeting, bounds = self._get(session, caller, link)\n"
        "            attendees, total",
        "        with read() as session:\n"
        "            meeting, bounds = self._get(session, caller, link)\n"
        "            attendees, total",
        f"{ATTENDANCE}/test_one_moment.py::test_answer_is_of_one_moment",
    ),
    # Meetings.
    Mutant(
        "tokens given for a meeting that is being made",
        "videoconf/meetings/join.py",
        '_MEETING.meeting_link == bindparam("link"), _MEETING.is_ready, visible',
        '_MEETING.meeting_link == bindparam("link"), visible',
        f"{TENANTS}::test_meeting_that_is_being_made_answers_as_unknown",
    ),
    Mutant(
        "a just-in-time session asked for without its target",
        "videoconf/meetings/join.py",
        "self._targets.find_destination(caller.tenant, provider) if meeting.is_archived else None",
        "None",
        f"{DELIVERY}/test_destinations.py::test_just_in_time_session_is_asked_for_with_its_target",
    ),
    Mutant(
        "a meeting whose session comes later missing in the log",
        "videoconf/meetings/create.py",
        "                note_change(session, begun.id, MEETING)\n"
        "                return self._finish(session, begun, new)\n"
        "            idempotency.aim",
        "                return self._finish(session, begun, new)\n            idempotency.aim",
        "tests/integration/events/test_log.py::test_log_has_meeting_whose_session_comes_later",
    ),
    Mutant(
        "the loser of a just-in-time session sent to a room of its own",
        "videoconf/meetings/join.py",
        "return SessionRef(winner.account, winner.session_id)",
        "return ref",
        f"{RECOVERY}::test_loser_of_just_in_time_session_joins_winner",
    ),
    Mutant(
        "a just-in-time provider takes over a meeting",
        "videoconf/meetings/create.py",
        "return provider.is_eager and all(",
        "return all(",
        f"{LOAD}::test_just_in_time_provider_does_not_take_over",
    ),
]
