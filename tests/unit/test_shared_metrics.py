"""Processes publish their metrics for each other; a publication that fails leaves the previous one."""

import os
import time

import pytest

from videoconf.observability import shared
from videoconf.observability.shared import SharedMetrics, merge


def become(succeeded):
    """End a forked child without what pytest does at an exit."""
    os.execvp("true" if succeeded else "false", ["child"])


def snapshot(count, gauge=0.0, *, at=1.0):
    counter = {"type": "counter", "help": "h", "samples": [["c_total", {"route": "/"}, count]]}
    return {"at": at, "families": {"c": counter, "g": {"type": "gauge", "help": "h", "samples": [["g", {}, gauge]]}}}


def value(families, name):
    return [found for one in families[name]["samples"] for found in one[2:]]


def test_counts_add_up_and_gauges_follow_their_rule():
    found = [snapshot(1, 5, at=2.0), snapshot(2, 7, at=1.0)]
    assert value(merge(found, {}), "c") == [3]
    assert value(merge(found, {"g": "sum"}), "g") == [12]
    assert value(merge(found, {"g": "max"}), "g") == [7]
    assert value(merge(found, {}), "g") == [5]  # of the most recent one


def test_process_that_ended_leaves_its_counts_alone():
    metrics = SharedMetrics()
    for count in (1, 2, 4):
        slot = metrics.reserve()
        metrics.publish(slot, snapshot(count, 9))
        metrics.release(slot)
    assert value(merge(metrics.read(), {"g": "sum"}), "c") == [7]
    assert "g" not in merge(metrics.read(), {})


def test_parent_reads_the_numbers_of_its_child():
    metrics = SharedMetrics()
    slot = metrics.reserve()
    child = os.fork()
    if child == 0:
        metrics.publish(slot, snapshot(3))
        become(metrics.is_our_turn())
    assert os.waitpid(child, 0)[1] == 0
    assert value(merge(metrics.read(), {}), "c") == [3]
    assert metrics.is_our_turn(), "the child's turn ended with it"


def test_only_one_process_at_a_time_has_its_turn():
    metrics = SharedMetrics()
    assert metrics.is_our_turn()
    assert metrics.is_our_turn()
    child = os.fork()
    if child == 0:
        become(not metrics.is_our_turn())
    assert os.waitpid(child, 0)[1] == 0


def test_snapshot_that_is_too_large_leaves_the_previous_one(monkeypatch):
    metrics = SharedMetrics()
    slot = metrics.reserve()
    metrics.publish(slot, snapshot(3))
    monkeypatch.setattr(shared, "SLOT_BYTES", 100)
    with pytest.raises(OSError):
        metrics.publish(slot, snapshot(4))
    monkeypatch.undo()
    assert value(merge(metrics.read(), {}), "c") == [3]


def test_torn_snapshot_is_left_out(monkeypatch):
    metrics = SharedMetrics()
    first, second = metrics.reserve(), metrics.reserve()
    metrics.publish(first, snapshot(3))
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, at: write(file, data[:-5], at))
    metrics.publish(second, snapshot(1000))
    monkeypatch.undo()
    assert value(merge(metrics.read(), {}), "c") == [3]


def test_slots_run_out_and_come_back():
    metrics = SharedMetrics()
    slots = [metrics.reserve() for _ in range(shared.SLOTS)]
    assert len(set(slots)) == shared.SLOTS
    assert metrics.reserve() is None
    metrics.release(slots[5])
    assert metrics.reserve() == slots[5]


def test_publishing_a_busy_process_takes_milliseconds():
    families = {
        f"f{number}": {
            "type": "histogram",
            "help": "h",
            "samples": [[f"f{number}_bucket", {"le": str(le)}, 1.0] for le in range(400)],
        }
        for number in range(10)
    }
    metrics = SharedMetrics()
    slot = metrics.reserve()
    began = time.process_time()
    for _ in range(10):
        metrics.publish(slot, {"at": 1.0, "families": families})
    assert (time.process_time() - began) / 10 < 0.05


def test_sum_waits_for_other_processes_to_publish():
    metrics = SharedMetrics()
    slot = metrics.reserve()
    metrics.publish(slot, snapshot(1))
    child = os.fork()
    if child == 0:
        while metrics.asked_at() == 0.0:
            time.sleep(0.005)
        metrics.publish(slot, snapshot(5, at=time.time()))
        become(True)
    assert value(merge(metrics.read_fresh(), {}), "c") == [5]
    assert os.waitpid(child, 0)[1] == 0
    began = time.monotonic()
    assert value(merge(metrics.read_fresh(), {}), "c") == [5]  # it is gone, and not waited for without end
    assert time.monotonic() - began < 2
