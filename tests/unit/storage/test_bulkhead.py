"""A target that stalls takes its slots and no more threads, and after some failures none at all."""

import threading
import time

import pytest

from videoconf import shares
from videoconf.errors import StorageTimeout, StorageUnavailable, StoredObjectNotFound
from videoconf.storage import bulkhead
from videoconf.storage.bulkhead import TARGET_SLOTS, TENANT_SLOTS, TENANT_WAITING, Bulkhead


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(bulkhead, "SLOT_WAIT_SECONDS", 0.05)


@pytest.fixture
def stall():
    """Give a function that stalls calls of a bulkhead, each in a thread; they end with the test."""
    over, threads = threading.Event(), []

    def stall(target, count, tenant=None):
        inside = threading.Semaphore(0)

        def call():
            shares.tenant.set(tenant)
            with target.call():
                inside.release()
                over.wait(20)

        for _ in range(count):
            threads.append(threading.Thread(target=call))
            threads[-1].start()
        for _ in range(count):
            assert inside.acquire(timeout=5)

    yield stall
    over.set()
    for thread in threads:
        thread.join()


def fail(target, error):
    with pytest.raises(error.__class__), target.call():
        raise error


def test_stalled_target_has_its_slots_alone(stall):
    stalled, other = Bulkhead(), Bulkhead()
    stall(stalled, TARGET_SLOTS)
    with pytest.raises(StorageUnavailable, match="under way"), stalled.call():
        pass
    with other.call():
        pass
    with stalled.call(takes_slot=False):
        pass


def test_tenant_has_its_share_of_all_targets(stall):
    targets = [Bulkhead() for _ in range(3)]
    for target in targets:
        stall(target, TENANT_SLOTS // 3, tenant="acme")
    results = []

    def call(tenant):
        shares.tenant.set(tenant)
        try:
            with Bulkhead().call():
                results.append((tenant, "done"))
        except StorageUnavailable as error:
            results.append((tenant, error.code))

    for tenant in ("acme", "other", None):
        thread = threading.Thread(target=call, args=(tenant,))
        thread.start()
        thread.join()
    assert results == [("acme", "storage_unavailable"), ("other", "done"), (None, "done")]


@pytest.mark.parametrize("error", [StorageTimeout(), StorageUnavailable()])
def test_failing_target_is_not_called_for_a_while(error):
    target = Bulkhead()
    for _ in range(5):
        fail(target, error)
    called = []
    with pytest.raises(StorageUnavailable, match="suspended") as refused, target.call():
        called.append(True)
    assert not called
    assert 0 < refused.value.retry_after_seconds <= 12


def test_missing_objects_suspend_nothing():
    target = Bulkhead()
    for _ in range(20):
        fail(target, StoredObjectNotFound())
    with target.call():
        pass


def test_few_calls_of_a_tenant_wait_and_others_fail_at_once(stall, monkeypatch):
    targets = [Bulkhead() for _ in range(3)]
    for target in targets:
        stall(target, TENANT_SLOTS // 3, tenant="acme")
    monkeypatch.setattr(bulkhead, "SLOT_WAIT_SECONDS", 2.0)
    refused_after = []

    def call():
        shares.tenant.set("acme")
        began = time.monotonic()
        with pytest.raises(StorageUnavailable), Bulkhead().call():
            pass
        refused_after.append(time.monotonic() - began)

    threads = [threading.Thread(target=call) for _ in range(TENANT_WAITING + 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(seconds < 1.0 for seconds in refused_after) == 20
