"""``make demo PROVIDER=vonage``: the same walk, with the people at a stand-in for Vonage."""

import pytest

from tests.integration.test_demo import demo


@pytest.mark.long
def test_demo_walks_through_a_meeting_at_vonage() -> None:
    done = demo(PROVIDER="vonage")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every answer was the expected one." in done.stdout
    assert done.stdout.count("At the stand-in for Vonage") == 5 * 2, "in each of its two environments"
    assert "Traceback" not in done.stderr
