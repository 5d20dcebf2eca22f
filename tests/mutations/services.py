"""Mutants of keys, jobs, webhooks, storage targets and archives."""

from tests.mutations.mutant import ARCHIVES, RECOVERY, Mutant

MUTANTS = [
    Mutant(
        "the events of a webhook stored one by one",
        "videoconf/webhooks/receive.py",
        "statements(atomic=True)",
        "statements()",
        "tests/integration/webhooks/test_storing_webhooks.py::test_webhook_is_stored_with_all_its_events_or_none",
    ),
    Mutant(
        "a lease renewed once before its end",
        "videoconf/jobs/queue.py",
        "done.wait(LEASE_SECONDS / 3)",
        "done.wait(LEASE_SECONDS / 2)",
        "tests/integration/test_long_jobs.py::test_long_job_keeps_its_lease_while_it_runs",
    ),
    Mutant(
        "a worker that stops while a thread is being started",
        "videoconf/jobs/worker.py",
        "with self._lock:  # no thread",
        "if True:  # no thread",
        "tests/unit/test_worker.py::test_stop_waits_for_a_thread_that_is_being_started",
    ),
    Mutant(
        "a released key that stays leased",
        "videoconf/idempotency.py",
        "values(owner=None, lease_until=None))",
        "values(owner=None))",
        "tests/integration/test_idempotency.py::test_released_key_can_be_abandoned_at_once",
    ),
    Mutant(
        "a key that ends between two statements is taken again",
        "videoconf/idempotency.py",
        "select(IdempotencyKey).where(*_is(tenant, key)).with_for_update()",
        "select(IdempotencyKey).where(*_is(tenant, key))",
        f"{RECOVERY}::test_key_is_not_finished_between_two_statements",
    ),
    Mutant(
        "an archive's end found by asking ends the asking",
        "videoconf/archives/reconcile.py",
        "merge_evidence(session, meeting_id, said[archive_id])\n",
        "merge_evidence(session, meeting_id, said[archive_id])\n"
        "            session.flush()\n"
        "            session.execute(update_rows(Archive).where(*mine).values(check_due_at=None))\n",
        f"{ARCHIVES}/test_reconciling.py::test_next_automatic_archive_is_found_after_a_lost_end",
    ),
    Mutant(
        "the service's own credentials lent to every tenant",
        "videoconf/storage_targets/change.py",
        "may = caller.tenant == self._default_tenant and all(own.values())",
        "may = all(own.values())",
        "tests/integration/storage_targets/test_target_secrets.py"
        "::test_own_credentials_complete_the_default_tenants_target",
    ),
    Mutant(
        "a target set although its host is refused",
        "videoconf/storage_targets/change.py",
        "        except StorageEndpointRefused:\n            raise\n",
        "        except StorageEndpointRefused:\n            pass\n",
        "tests/integration/storage_targets/test_setting_a_target.py::test_target_that_does_not_answer_is_not_set",
    ),
]
