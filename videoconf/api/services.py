"""What the views and commands use, made once by ``create_app`` and found through the running application."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import cast

from flask import Flask, current_app

from videoconf.archives.delete import Deletion
from videoconf.archives.download import Downloads
from videoconf.archives.record import Archives
from videoconf.attendance.across import AttendanceAcross
from videoconf.attendance.now import PeopleNow
from videoconf.attendance.privacy import Persons
from videoconf.attendance.queries import Attendance
from videoconf.door.invitations import Invitations
from videoconf.door.join import Door
from videoconf.door.lobby import Lobby
from videoconf.errors import ConfigurationError
from videoconf.events.deliveries import Deliveries
from videoconf.events.dispatch import Dispatcher
from videoconf.events.projector import Projector
from videoconf.events.subscriptions import Subscriptions
from videoconf.events.waiting import Waiting
from videoconf.hooks import Providers, Registry
from videoconf.jobs.queue import Jobs
from videoconf.meetings.bans import Bans
from videoconf.meetings.create import Creation
from videoconf.meetings.edit import Editing
from videoconf.meetings.end import Ending
from videoconf.meetings.join import Joining
from videoconf.meetings.moderate import Moderation
from videoconf.providers import Clock
from videoconf.providers.clients import Clients
from videoconf.settings import Settings
from videoconf.storage_targets.change import TargetChanges
from videoconf.storage_targets.credentials import StoredCredentials
from videoconf.storage_targets.in_force import StorageTargets
from videoconf.webhooks.refusals import Refusals

EXTENSION = "videoconf"


@dataclass(frozen=True)
class Services:
    """The parts of one application."""

    settings: Settings
    registry: Registry
    providers: Providers
    jobs: Jobs
    creation: Creation
    editing: Editing
    ending: Ending
    attendance: Attendance
    across: AttendanceAcross
    people_now: PeopleNow
    persons: Persons
    joining: Joining
    moderation: Moderation
    bans: Bans
    invitations: Invitations
    door: Door
    lobby: Lobby
    archives: Archives
    deletion: Deletion
    clients: dict[str, Clients]
    """The HTTP clients of each enabled provider."""
    targets: StorageTargets
    target_changes: TargetChanges
    credentials: StoredCredentials
    downloads: Downloads
    refusals: Refusals
    projector: Projector
    waiting: Waiting
    subscriptions: Subscriptions
    deliveries: Deliveries
    dispatcher: Dispatcher
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
