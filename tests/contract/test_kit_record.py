"""Recording webhooks: what is written is a sample, byte for byte what came in."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
import urllib3

from videoconf.testing import load_samples
from videoconf.testing.record import write_sample

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)


@pytest.mark.parametrize("body", [b'{"a":  1,\n"b": "\xc3\xa9"}', b"", b"\xff\x00", b"event=%5B%5D&timestamp=1"])
def test_sample_has_the_received_bytes(tmp_path, body):
    write_sample(tmp_path, "archive", "checksum=ab", {"x-signature": "s", "host": "h"}, body, AT)
    write_sample(tmp_path, "session", "", {}, b"{}", AT)
    first, second = load_samples(tmp_path)
    assert (first.body, first.channel, first.received_at, dict(first.headers)) == (
        body,
        "archive",
        AT,
        {"x-signature": "s"},
    )
    assert first.request("acme").url.endswith("/webhooks/acme/archive?checksum=ab")
    assert (second.body, second.events) == (b"{}", [])


def test_recorder_writes_posted_webhooks(tmp_path):
    command = [sys.executable, "-m", "videoconf.testing.record", str(tmp_path / "new"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as recorder:
        try:
            url = recorder.stdout.readline().split()[-1]
            with urllib3.PoolManager(retries=False, timeout=10) as pool:
                assert pool.request("POST", url, body=b'{"id": 1}', headers={"X-Signed": "yes"}).status == 200
            assert recorder.stdout.readline().startswith("wrote ")
        finally:
            recorder.terminate()
    [sample] = load_samples(tmp_path / "new")
    assert (sample.body, sample.channel, sample.headers["x-signed"]) == (b'{"id": 1}', "session", "yes")


@pytest.mark.parametrize(
    "document",
    [
        "no json",
        "[]",
        "{}",
        {"body": "", "received_at": "2026-01-05T10:00:00", "events": []},
        {"body": {}, "events": []},
    ],
)
def test_error_names_a_file_that_is_not_a_sample(tmp_path, document):
    (tmp_path / "odd.json").write_text(document if isinstance(document, str) else json.dumps(document))
    with pytest.raises(ValueError, match=r"odd\.json is not a webhook sample"):
        load_samples(tmp_path)
