"""What the views and commands use, made once by ``create_app`` and found through the running application."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import cast

from flask import Flask, current_app

from videoconf.archives.credentials import StoredCredentials
from videoconf.archives.deletion import Deletion
from videoconf.archives.downloads import Downloads
from videoconf.archives.operations import Archives
from videoconf.archives.target_changes import TargetChanges
from videoconf.archives.targets import StorageTargets
from videoconf.attendance.operations import Attendance
from videoconf.errors import ConfigurationError
from videoconf.hooks import Providers, Registry
from videoconf.jobs import Jobs
from videoconf.meetings.creation import Creation
from videoconf.meetings.joining import Joining
from videoconf.meetings.moderation import Moderation
from videoconf.meetings.operations import Meetings
from videoconf.providers import Clock
from videoconf.providers.clients import Clients
from videoconf.settings import Settings

EXTENSION = "videoconf"


@dataclass(frozen=True)
class Services:
    """The parts of one application."""

    settings: Settings
    registry: Registry
    providers: Providers
    jobs: Jobs
    creation: Creation
    meetings: Meetings
    attendance: Attendance
    joining: Joining
    moderation: Moderation
    archives: Archives
    deletion: Deletion
    clients: dict[str, Clients]
    """The HTTP clients of each enabled provider."""
    targets: StorageTargets
    target_changes: TargetChanges
    credentials: StoredCredentials
    downloads: Downloads
    clock: Clock
    faults: tuple[str, ...]
    """What forbids serving."""
    closing: ExitStack
    """Closes, at the end of the process, what was opened for the application."""


def configured(app: Flask | None = None) -> Services:
    """Return the parts of an application for a command that acts; with a wrong setting it might act on other data.

    :raises ConfigurationError: something forbids serving.
    """
    parts = services(app)
    if parts.faults:
        raise ConfigurationError(parts.faults)
    return parts


def services(app: Flask | None = None) -> Services:
    """Return the parts of an application, by default of the one that runs."""
    return cast("Services", (app or current_app).extensions[EXTENSION])
