"""Break what keeps data and load right, one thing at a time, and see that a named test notices: ``make mutants``.

Each mutant is a copy of the tree with one change. A mutant that all its tests survive is a promise that nothing proves.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
COPIED = ("videoconf", "plugins", "migrations", "tests", "bench", "tools", "setup.cfg", "gunicorn.conf.py", "wsgi.py")
ATTENDANCE = "tests/integration/attendance"
MODEL = f"{ATTENDANCE}/test_model.py"
SECOND_ROW = "tests/integration/test_second_row.py"
RECOVERY = "tests/integration/test_recovery.py"
LOAD = "tests/integration/test_load_and_time.py"
DOOR = "tests/integration/door"
ARCHIVES = "tests/integration/archives"
DELIVERY = "tests/integration/storage_delivery"
PLUGINS = "tests/plugins"


@dataclass(frozen=True)
class Mutant:
    """One change, and the test that must fail because of it."""

    name: str
    path: str
    old: str
    new: str
    test: str
    also: tuple[tuple[str, str, str], ...] = ()
    """Further changes that belong to it, as path, old and new text."""


MUTANTS = [
    Mutant(
        "the unique constraint of the inbox dropped",
        "migrations/versions/20261121_first_schema_0001.py",
        """        sa.UniqueConstraint(
            "provider", "account", "dedupe_key", name=op.f("uq_webhook_event_provider_account_dedupe_key")
        ),
""",
        "",
        f"{ATTENDANCE}/test_races.py::test_concurrent_posts_of_the_same_events_keep_the_list_right",
        also=(
            (
                "videoconf/webhooks/receive.py",
                'statement.on_conflict_do_nothing(index_elements=["provider", "account", "dedupe_key"])',
                "statement",
            ),
        ),
    ),
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
        "the lock of unknown sessions removed",
        "videoconf/db/transactions.py",
        'transaction.execute(_LOCK, {"name": name})',
        "pass",
        "tests/integration/test_races.py::test_webhook_and_create_see_each_other_in_either_order",
    ),
    Mutant(
        "known and new events distinguished by the row count",
        "videoconf/webhooks/receive.py",
        "    if stored is None:",
        "    if result.rowcount == 0:",
        f"{ATTENDANCE}/test_scale.py::test_webhook_and_list_cost_no_more_in_a_full_database",
        also=(
            (
                "videoconf/webhooks/receive.py",
                "stored = transaction.execute("
                "_STORE_ONCE[dialect_of(transaction)], row | _of_session(provider, event)).one_or_none()",
                "result = transaction.execute("
                "_STORE_ONCE[dialect_of(transaction)], row | _of_session(provider, event))\n"
                "    stored = result.one_or_none()",
            ),
        ),
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
    Mutant(
        "webhooks acknowledged that were not committed",
        "videoconf/db/transactions.py",
        "            if not atomic:\n",
        "            if True:\n",
        "tests/integration/webhooks/test_storing_webhooks.py::test_webhook_is_visible_at_once_on_every_node",
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
        "a copy noted with every archive",
        "videoconf/archives/copy.py",
        ".where(Archive.id == archive.id, *_WANTED)",
        ".where(*_WANTED)",
        f"{SECOND_ROW}::test_change_leaves_other_rows_as_they_were[sqlite-archive_is_copied]",
    ),
    Mutant(
        "a roster applied to the same connection ids of every meeting",
        "videoconf/attendance/roster.py",
        "theirs = and_(c.meeting_id == meeting_id, c.connection_id",
        "theirs = and_(c.connection_id",
        f"{ATTENDANCE}/test_same_ids.py::test_change_concerns_ids_of_its_own_meeting[sqlite-is_missed]",
    ),
    # Attendance.
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
    # Races and recovery.
    Mutant(
        "a target that changed while it was applied left as it is",
        "videoconf/storage_targets/change.py",
        "if self._history(tenant) != before:",
        "if self._history(tenant) is None:",
        f"{RECOVERY}::test_target_changed_while_it_is_applied_is_applied_again",
    ),
    Mutant(
        "the loser of a just-in-time session sent to a room of its own",
        "videoconf/meetings/join.py",
        "return SessionRef(winner.account, winner.session_id)",
        "return ref",
        f"{RECOVERY}::test_loser_of_just_in_time_session_joins_winner",
    ),
    Mutant(
        "a key released between two statements is overlooked",
        "videoconf/idempotency.py",
        "    if known is None:  # given up between the two statements\n"
        "        raise IdempotencyInProgress(retry_after_seconds=1)\n",
        "",
        f"{RECOVERY}::test_key_released_between_two_statements_is_in_progress",
    ),
    Mutant(
        "a job that takes its workers along tried for days",
        "videoconf/jobs/queue.py",
        "self._failed(job, str(error), retryable=False)",
        "self._failed(job, str(error), retryable=True)",
        "tests/integration/test_jobs.py::test_job_that_takes_its_workers_along_dies_however_young",
    ),
    Mutant(
        "workers that wait for each other's rows",
        "videoconf/jobs/queue.py",
        ".with_for_update(skip_locked=True)",
        ".with_for_update()",
        f"{RECOVERY}::test_worker_takes_next_job_while_first_is_locked",
    ),
    Mutant(
        "the lock of a tenant's target removed",
        "videoconf/storage_targets/change.py",
        'lock(session, f"storage_target:{tenant}")',
        "pass",
        f"{RECOVERY}::test_change_waits_for_lock_of_its_own_tenants_target",
    ),
    Mutant(
        "two refusals of one deletion noted twice",
        "videoconf/archives/delete.py",
        "Archive.deleted_on.is_(None), Archive.deleting_since.is_not(None))\n"
        "                .values(\n                    deleting_since=None,\n                    deleted_by=None",
        "Archive.deleted_on.is_(None))\n"
        "                .values(\n                    deleting_since=None,\n                    deleted_by=None",
        f"{RECOVERY}::test_two_refusals_of_one_deletion_are_noted_once",
    ),
    # Load and time.
    Mutant(
        "workers without work that do not wait",
        "videoconf/jobs/worker.py",
        "self._stopping.wait(IDLE_SECONDS * random.uniform(0.5, 1.5))",
        "self._stopping.wait(0)",
        "tests/unit/test_worker.py::test_idle_lane_looks_once_and_waits",
    ),
    Mutant(
        "jobs that fail together repeated together",
        "videoconf/jobs/queue.py",
        "return delay * random.uniform(0.5, 1.0)",
        "return delay",
        f"{LOAD}::test_delays_of_jobs_that_fail_together_differ",
    ),
    Mutant(
        "jobs repeated at once",
        "videoconf/jobs/queue.py",
        "FIRST_DELAY_SECONDS = 5.0",
        "FIRST_DELAY_SECONDS = 0.0",
        f"{LOAD}::test_delay_doubles_from_five_seconds_to_fifteen_minutes",
    ),
    Mutant(
        "an identity provider's keys fetched for each unknown key",
        "videoconf/api/jwks.py",
        "(not is_known and age >= COOLDOWN_SECONDS)",
        "not is_known",
        "tests/unit/api/test_jwks_load.py::test_unknown_key_asks_after_cooldown",
    ),
    Mutant(
        "a token issued without a deadline",
        "videoconf/providers/port.py",
        "with provider_deadline():",
        "if True:",
        f"{LOAD}::test_every_provider_call_has_a_deadline",
    ),
    Mutant(
        "a just-in-time provider takes over a meeting",
        "videoconf/meetings/create.py",
        "return provider.is_eager and all(",
        "return all(",
        f"{LOAD}::test_just_in_time_provider_does_not_take_over",
    ),
    Mutant(
        "an invitation's uses not checked when they are counted",
        "videoconf/door/join.py",
        "_INVITATION.c.revoked_on.is_(None), _has_uses())",
        "_INVITATION.c.revoked_on.is_(None))",
        f"{DOOR}/test_many_clients.py::test_200_clients_behind_one_address_get_exactly_20_tokens",
    ),
    Mutant(
        "the lobby's lock removed",
        "videoconf/door/lobby.py",
        'lock(transaction, f"lobby:{found.invitation_id}")',
        "pass",
        f"{DOOR}/test_lobby.py::test_at_most_50_of_many_concurrent_guests_wait",
    ),
    Mutant(
        "a banned attendee's join not held",
        "videoconf/webhooks/receive.py",
        "hold_on_join(transaction, meeting_id, event.attendee)",
        "pass",
        f"{DOOR}/test_bans.py::test_token_from_before_the_ban_leads_out_again",
    ),
    Mutant(
        "secrets of the door stored as they are",
        "videoconf/door/codes.py",
        'hashlib.sha256(secret.encode(errors="surrogatepass")).digest()',
        'secret.encode(errors="surrogatepass")',
        f"{DOOR}/test_secrecy.py::test_secrets_are_neither_stored_nor_logged",
    ),
    # Archives.
    Mutant(
        "a copy that ends while its archive is being deleted left behind",
        "videoconf/archives/copy.py",
        "            if not changes_row(session, delivered):\n                return False\n",
        "            if not changes_row(session, delivered):\n                return True\n",
        f"{DELIVERY}/test_copying.py::test_copy_that_ends_during_a_deletion_is_removed",
    ),
    Mutant(
        "the target of any meeting taken for an archive's",
        "videoconf/archives/merge.py",
        "select(Meeting.storage_target_id).where(Meeting.id == archive.meeting_id)",
        "select(Meeting.storage_target_id)",
        f"{DELIVERY}/test_destinations.py::test_upload_is_in_the_newest_target_of_its_time",
    ),
    Mutant(
        "a deletion with a dead job not taken up again",
        "videoconf/archives/delete.py",
        "                check_due_at=utc_in(RESUME_SECONDS),\n",
        "",
        f"{ARCHIVES}/test_deleting_archives.py::test_deletion_with_a_dead_job_is_resumed[sqlite]",
    ),
    Mutant(
        "each refusal of a deletion by age noted",
        "videoconf/archives/delete.py",
        "if is_taken_back and actor.type not in (ActorType.SYSTEM, ActorType.PROVIDER):",
        "if is_taken_back:",
        f"{ARCHIVES}/test_retention.py::test_refusal_of_retention_leaves_no_audit_entry",
    ),
    # Storage servers.
    Mutant(
        "any certificate of an S3 server accepted",
        "plugins/videoconf_s3/client.py",
        "verify=ca_file() or True, timeout",
        "verify=False, timeout",
        f"{PLUGINS}/test_storage_proxy.py::test_server_with_wrong_certificate_gets_no_request",
    ),
    Mutant(
        "any certificate of an Azure server accepted",
        "plugins/videoconf_azure/client.py",
        "connection_verify=ca_file() or True",
        "connection_verify=False",
        f"{PLUGINS}/test_storage_proxy.py::test_server_with_wrong_certificate_gets_no_request",
    ),
    Mutant(
        "a redirect of an S3 server taken for success",
        "plugins/videoconf_s3/client.py",
        "        if 300 <= response.status_code < 400 and response.status_code != 304:\n",
        "        if False:\n",
        f"{PLUGINS}/test_storage_servers.py::test_a_redirect_is_not_followed",
    ),
    Mutant(
        "objects sent to S3 without their digest",
        "plugins/videoconf_s3/client.py",
        '"payload_signing_enabled": True',
        '"payload_signing_enabled": False',
        f"{PLUGINS}/test_storage_configuration.py::test_each_object_is_sent_with_its_digest",
    ),
    Mutant(
        "objects sent to Azure without their digest",
        "plugins/videoconf_azure/target.py",
        "validate_content=True",
        "validate_content=False",
        f"{PLUGINS}/test_storage_configuration.py::test_each_object_is_sent_with_its_digest",
    ),
]


def caught(mutant: Mutant) -> tuple[bool, str]:
    """Run a mutant's test on a copy with its change; tell whether it failed, and how."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy / name)
        (copy / "plugins" / "videoconf_migrations").symlink_to(copy / "migrations")
        for path, old, new in ((mutant.path, mutant.old, mutant.new), *mutant.also):
            text = (copy / path).read_text()
            if text.count(old) != 1:
                return False, f"{path} does not hold the text to change, or more than once"
            (copy / path).write_text(text.replace(old, new))
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            "-m",
            "not browser and not long",
            mutant.test,
        ]
        # Before the installed package, so that the copy is what is tested.
        variables = {**os.environ, "PYTHONPATH": f"{copy}{os.pathsep}{copy / 'plugins'}", "NO_SHRINKING": "1"}
        ended = subprocess.run(command, cwd=copy, env=variables, capture_output=True, text=True, timeout=900)
        # Failed, and not merely unable to run: then it would have been an error.
        failed = f"\nFAILED {mutant.test.partition('::')[0]}" in ended.stdout and "\nERROR tests/" not in ended.stdout
        return failed, ended.stdout[-3000:]


def main(names: list[str]) -> int:
    survivors = 0
    for mutant in MUTANTS:
        if names and not any(name in mutant.name for name in names):
            continue
        is_caught, output = caught(mutant)
        survivors += not is_caught
        print(f"{'caught' if is_caught else 'SURVIVED'}: {mutant.name}, by {mutant.test}", flush=True)
        if not is_caught:
            print(output)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
