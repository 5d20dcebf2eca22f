"""Break what keeps attendance right, one thing at a time, and see that a named test notices: ``make mutants``.

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
        f"{ATTENDANCE}/test_races.py::test_eight_threads_that_post_the_same_events_at_once_leave_the_list_right",
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
        "the lock of sessions that are not known yet taken away",
        "videoconf/db/transactions.py",
        'transaction.execute(_LOCK, {"name": name})',
        "pass",
        "tests/integration/test_races.py::test_whichever_of_webhook_and_create_comes_first_the_other_sees_it",
    ),
    Mutant(
        "known events told from new ones by the row count",
        "videoconf/webhooks/receive.py",
        "    if stored is None:",
        "    if result.rowcount == 0:",
        f"{ATTENDANCE}/test_scale.py::test_a_webhook_and_a_list_take_as_many_statements_in_a_full_database"
        "_and_no_sequential_scan",
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
        "a stream that ends taken for a leave",
        "plugins/videoconf_fake/webhooks.py",
        '"stream.destroyed": EventKind.ACTIVITY',
        '"stream.destroyed": EventKind.LEFT',
        f"{ATTENDANCE}/test_vendor.py::test_a_camera_that_is_switched_off_is_no_leave",
    ),
    Mutant(
        "rows kept by attendee instead of connection",
        "videoconf/attendance/merge.py",
        '"connection_id": event.connection_id, **columns}',
        '"connection_id": event.attendee or event.connection_id, **columns}',
        f"{ATTENDANCE}/test_laws.py::test_law",
    ),
    Mutant(
        "a tie of leave and join taken for presence",
        "videoconf/attendance/presence.py",
        "evidence.last_join > evidence.last_leave)",
        "evidence.last_join >= evidence.last_leave)",
        f"{ATTENDANCE}/test_laws.py::test_law",
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
        "status = _apply_if_credible(transaction, bound.meeting_id, bound.created_on, event)",
        "status = _apply(transaction, bound.meeting_id, event)",
        f"{MODEL}::test_any_order_and_multiplicity_of_the_same_events_give_the_same_bytes",
    ),
    Mutant(
        "one list without somebody taken for a leave",
        "videoconf/attendance/roster.py",
        "first, observed_on, missed_on=observed_on)",
        "first, observed_on, absent_on=observed_on)",
        f"{ATTENDANCE}/test_roster.py::test_two_lists_in_a_row_without_somebody_are_a_leave_at_the_first",
    ),
    Mutant(
        "webhooks acknowledged that were not committed",
        "videoconf/db/transactions.py",
        "            if not atomic:\n",
        "            if True:\n",
        "tests/integration/webhooks/test_storing_webhooks.py::test_a_webhook_is_seen_at_once_on_every_node",
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
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", mutant.test]
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
