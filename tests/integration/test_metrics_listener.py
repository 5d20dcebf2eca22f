"""Metrics are served apart from the API, for all processes of a server at once, and never stop a process."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
import urllib3

from tests.support.metrics import free_address, scrape
from tests.support.service import ON_SQLITE
from tests.support.settings import JWT_SECRET
from videoconf.cli.process import serve_metrics
from videoconf.observability.listener import MOST_CLIENTS, SAMPLE_SECONDS, MetricsListener


@pytest.fixture
def address():
    return free_address()


def worker_pids(server):
    command = ["ps", "--no-headers", "-o", "pid", "--ppid", str(server.process.pid)]
    return {int(pid) for pid in subprocess.run(command, capture_output=True, check=True).stdout.split()}


@ON_SQLITE
def test_another_worker_takes_over_when_the_listening_one_ends(gunicorn_server, address):
    server = gunicorn_server(workers=2, VIDEOCONF_METRICS_BIND=address)
    scrape(address)
    before = worker_pids(server)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while server.log.count("metrics are served on") < 2:
        assert time.monotonic() < deadline, "no other worker listens"
        threading.Event().wait(0.1)
    assert scrape(address)
    assert server.is_up()


def counted(address, route):
    total = 0.0
    for line in scrape(address).splitlines():
        if line.startswith("videoconf_request_seconds_count") and f'route="{route}"' in line:
            total += float(line.rpartition(" ")[2])
    return total


@ON_SQLITE
def test_counts_of_all_workers_add_up_and_outlive_them(gunicorn_server, headers, address):
    server = gunicorn_server(workers=2, VIDEOCONF_METRICS_BIND=address)
    for _ in range(40):  # a connection each, so that both workers serve
        assert urllib3.request("GET", f"{server.url}/session", headers=headers()).status == 200
    deadline = time.monotonic() + 20
    while counted(address, "/session") != 40:
        assert time.monotonic() < deadline
        threading.Event().wait(0.2)
    for pid in worker_pids(server):
        os.kill(pid, signal.SIGKILL)
        threading.Event().wait(1)
    server.wait_until_up()
    assert counted(address, "/session") == 40
    assert scrape(address).count("\nvideoconf_database_connections ") == 1


@ON_SQLITE
@pytest.mark.parametrize("exists", [True, False])
def test_metrics_folder_of_the_operator_is_left_alone(gunicorn_server, headers, address, tmp_path, exists):
    folder = tmp_path / "metrics"
    if exists:
        folder.mkdir()
        (folder / "counter_1.db").write_text("another program's")
    server = gunicorn_server(PROMETHEUS_MULTIPROC_DIR=str(folder), VIDEOCONF_METRICS_BIND=address)
    for pid in worker_pids(server):
        os.kill(pid, signal.SIGKILL)
    server.process.send_signal(signal.SIGHUP)
    server.wait_until_up()
    assert urllib3.request("GET", f"{server.url}/session", headers=headers()).status == 200
    assert counted(address, "/session") >= 1
    assert server.terminate() == 0
    if exists:
        assert [(one.name, one.read_text()) for one in folder.iterdir()] == [("counter_1.db", "another program's")]
    else:
        assert not folder.exists()


@ON_SQLITE
def test_server_makes_no_file_for_metrics(gunicorn_server, headers, address, tmp_path):
    folder = tmp_path / "temporary"
    folder.mkdir()
    server = gunicorn_server(TMPDIR=str(folder), VIDEOCONF_METRICS_BIND=address)
    assert urllib3.request("GET", f"{server.url}/session", headers=headers()).status == 200
    scrape(address)
    assert list(folder.iterdir()) == []


@ON_SQLITE
def test_address_in_use_is_logged_once_and_stops_nothing(gunicorn_server):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        server = gunicorn_server(workers=2, VIDEOCONF_METRICS_BIND=taken)
        threading.Event().wait(SAMPLE_SECONDS + 1)  # each worker has tried twice
        assert server.log.count(f"metrics are not served on {taken}") == 1
        assert server.is_up()
    assert scrape(taken), "served once the address is free"


@ON_SQLITE
def test_job_worker_serves_its_metrics(database_url, fake_settings, tmp_path, address):
    environment = {
        **os.environ,
        **fake_settings,
        "VIDEOCONF_PROVIDERS": "fake",
        "VIDEOCONF_JWT_SECRETS": JWT_SECRET,
        "VIDEOCONF_DATABASE_URL": database_url,
        "VIDEOCONF_METRICS_BIND": address,
    }
    command = [sys.executable, "-c", "from videoconf.cli.main import commands; commands()", "worker"]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, env=environment, stderr=log) as process:
        try:
            assert 'videoconf_jobs{state="due"}' in scrape(address)
        finally:
            process.terminate()
        assert process.wait(30) == 0
    logged = (tmp_path / "log").read_text()
    assert '"role":"worker"' in logged
    assert '"release":' in logged


@ON_SQLITE
def test_metrics_are_off_in_development_or_without_an_address(make_app, address):
    assert serve_metrics(make_app(development=True, metrics_bind=address)) is None
    assert serve_metrics(make_app(metrics_bind="")) is None


@ON_SQLITE
def test_main_listener_has_no_metrics(client):
    assert client.get("/metrics").status_code == 404


def test_other_paths_are_404_and_a_failure_is_500(address):
    def collect():
        raise RuntimeError("no")

    listener = MetricsListener(address, sample=lambda: None, collect=collect)
    listener.start()
    try:
        with urllib3.PoolManager(retries=urllib3.Retry(connect=50, backoff_factor=0.05, backoff_max=0.2)) as http:
            answered = [http.request("GET", f"http://{address}{path}").status for path in ("/metrics", "/", "/session")]
    finally:
        listener.stop()
    assert answered == [500, 404, 404]
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://{address}/metrics", timeout=5)


def test_ipv6_addresses_are_served():
    with socket.socket(socket.AF_INET6) as free:
        try:
            free.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        port = free.getsockname()[1]
    listener = MetricsListener(f"[::1]:{port}", sample=lambda: None, collect=lambda: b"one 1\n")
    listener.start()
    try:
        assert scrape(f"[::1]:{port}") == "one 1\n"
    finally:
        listener.stop()


def test_clients_that_send_no_request_take_few_threads(address):
    listener = MetricsListener(address, sample=lambda: None, collect=lambda: b"videoconf 1\n")
    listener.start()
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + 10
    idle = []
    try:
        while len(idle) < 40:
            try:
                idle.append(socket.create_connection((host, int(port)), 5))
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert scrape(address) == "videoconf 1\n"
        while (serving := sum("process_request" in one.name for one in threading.enumerate())) > MOST_CLIENTS:
            assert time.monotonic() < deadline, f"{serving} threads"
            time.sleep(0.05)
    finally:
        for one in idle:
            one.close()
        listener.stop()
