"""A tenant's share: so many threads inside, others of the tenant wait, and other tenants do not."""

import threading
import time

import pytest

from videoconf import shares
from videoconf.shares import Share, own_share


def test_share_is_full_for_its_tenant_alone():
    share = Share(1)
    entered = []

    def other_thread(key):
        entered.append(share.enter(key, 0.05))

    assert share.enter("acme", 0)
    for key in ("acme", "other"):
        thread = threading.Thread(target=other_thread, args=(key,))
        thread.start()
        thread.join()
    assert entered == [False, True]


def test_thread_inside_enters_again_and_leaves_with_the_last():
    share = Share(1)
    assert share.enter("acme", 0)
    assert share.enter("acme", 0)
    share.leave("acme")
    found = []
    thread = threading.Thread(target=lambda: found.append(share.enter("acme", 0)))
    thread.start()
    thread.join()
    assert found == [False]
    share.leave("acme")
    thread = threading.Thread(target=lambda: found.append(share.enter("acme", 0)))
    thread.start()
    thread.join()
    assert found == [False, True]


def test_waiting_thread_gets_the_place_that_is_left():
    share = Share(1, waiting=1)
    assert share.enter("acme", 0)
    found = []
    waits = threading.Thread(target=lambda: found.append(share.enter("acme", 5)))
    waits.start()
    while not waits.is_alive():
        time.sleep(0.01)
    time.sleep(0.1)
    refused = threading.Thread(target=lambda: found.append(share.enter("acme", 5)))
    refused.start()
    refused.join(2)
    assert found == [False], "more than may wait are refused at once"
    share.leave("acme")
    waits.join(5)
    assert found == [False, True]


def test_work_without_a_tenant_has_no_bound():
    shares.tenant.set("acme")
    with pytest.raises(RuntimeError), own_share(Share(0), 0, RuntimeError()):
        pass
    shares.tenant.set(None)
    with own_share(Share(0), 0, RuntimeError()):
        pass


def test_share_that_is_in_use_refuses():
    share = Share(1)
    assert share.enter("acme", 0)

    def use():
        shares.tenant.set("acme")
        with pytest.raises(RuntimeError), own_share(share, 0.01, RuntimeError()):
            pass
        done.append(True)

    done = []
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert done == [True]
