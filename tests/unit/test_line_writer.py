"""Lines go to a pipe in order, and whoever writes them never waits for its reader."""

import os
import threading
import time

import pytest

from videoconf.observability import line_writer
from videoconf.observability.line_writer import LineWriter


def become(succeeded):
    """End a forked child without what pytest does at an exit."""
    os.execvp("true" if succeeded else "false", ["child"])


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def read_all(descriptor, ending):
    data = b""
    while not data.endswith(ending):
        data += os.read(descriptor, 1 << 16)
    return data.decode().splitlines()


@pytest.fixture
def writer(pipe):
    return LineWriter(pipe[1], lambda count: f"lost {count}\n")


def test_lines_of_many_threads_are_all_written(writer, pipe):
    def write(name):
        for number in range(100):
            writer.put(f"{name}-{number}\n")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.flush(5)
    writer.put("end\n")
    lines = read_all(pipe[0], b"end\n")
    assert len(lines) == 401
    for name in "abcd":
        assert [line for line in lines if line.startswith(name)] == [f"{name}-{number}" for number in range(100)]


def test_unread_pipe_delays_no_writer_and_loses_counted_lines(writer, pipe, monkeypatch):
    monkeypatch.setattr(line_writer, "QUEUED_BYTES", 100_000)
    lost = []
    writer.count_lost = lost.append
    began = time.monotonic()
    for number in range(5000):
        writer.put(f"{number:099}\n")
    assert time.monotonic() - began < 2
    assert not writer.flush(0.1)
    assert 5000 - 1700 - 42 < sum(lost) <= 5000 - 1000  # a queue of 1,000, and what the pipe took meanwhile
    found = threading.Thread(target=lambda: lines.extend(read_all(pipe[0], b"end\n")))
    lines = []
    found.start()
    assert writer.flush(5)
    writer.put("end\n")
    found.join(5)
    assert sum(int(line.removeprefix("lost ")) for line in lines if line.startswith("lost")) == sum(lost)
    numbers = [int(line) for line in lines if line.isdigit()]
    assert numbers == sorted(set(numbers)), "in order"
    assert len(numbers) + sum(lost) == 5000


def test_closed_reader_loses_lines_and_raises_nothing(pipe):
    lost = []
    read_end, write_end = os.pipe()
    writer = LineWriter(write_end, str)
    writer.count_lost = lost.append
    os.close(read_end)
    writer.put("one\n")
    assert writer.flush(5)
    os.close(write_end)
    writer.put("two\n")
    assert writer.flush(5)
    deadline = time.monotonic() + 5
    while sum(lost) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert lost == [1, 1]


def test_forked_child_writes_its_own_lines_alone(writer, pipe, monkeypatch):
    monkeypatch.setattr(line_writer, "QUEUED_BYTES", 1 << 20)
    writer.put("parent\n")
    assert writer.flush(5)
    child = os.fork()
    if child == 0:
        writer.put("child\n")
        become(writer.flush(5))
    assert os.waitpid(child, 0)[1] == 0
    writer.put("end\n")
    assert read_all(pipe[0], b"end\n") == ["parent", "child", "end"]
