"""``make demo``: what newcomers see first must work."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def demo(**environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(ROOT / "examples/demo.py")],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def test_demo_walks_through_a_meeting() -> None:
    # A setting of whoever runs it must not decide how it ends.
    done = demo(VIDEOCONF_PROVIDERS="vonage", VIDEOCONF_PATH_PREFIX="/elsewhere")
    assert done.returncode == 0, done.stdout + done.stderr
    calls = [line for line in done.stdout.splitlines() if line.startswith(("POST", "GET", "PATCH"))]
    assert calls[0] == "POST /session"
    assert sum("/attendees" in call for call in calls) == 4
    assert "flask videoconf fake drop" in done.stdout
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stdout, "plain when piped"


def test_a_provider_without_people_is_refused() -> None:
    done = demo(PROVIDER="unknown")
    assert done.returncode == 1
    assert "fake" in done.stderr
