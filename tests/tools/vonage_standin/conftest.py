"""What the stand-in's own tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tools.vonage_standin import VonageStandin
from tools.vonage_standin.callers import sdk_client
from tools.vonage_standin.world import Session


@pytest.fixture
def sdk(vonage_standin: VonageStandin, tmp_path: Path) -> Any:
    """Give the unmodified opentok SDK, talking to the stand-in."""
    return sdk_client(vonage_standin, tmp_path)


@pytest.fixture
def opentok(make_vonage_standin: Any) -> VonageStandin:
    """Give a stand-in of the OpenTok environment alone."""
    standin: VonageStandin = make_vonage_standin("opentok")
    return standin


@pytest.fixture
def session(vonage_standin: VonageStandin) -> Session:
    """Give a routed session with a connection that publishes."""
    made = vonage_standin.world.create_session(routed=True)
    vonage_standin.publish(vonage_standin.connect_to(made.session_id))
    return made
