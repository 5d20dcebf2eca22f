"""The parts of the service, and how each is wired to the others; views and commands find them through the application.

A part is made when it is first used, and imported with it. So a command imports what it works with and starts quickly,
while a process that serves makes every part at its start: no request waits for an import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, cast

from flask import Flask, current_app

from videoconf.api.foundation import Foundation
from videoconf.errors import ConfigurationError

if TYPE_CHECKING:
    from videoconf.archives.automatic import AutomaticArchiving
    from videoconf.archives.copy import Pulling
    from videoconf.archives.delete import Deletion
    from videoconf.archives.download import Downloads
    from videoconf.archives.reconcile import Reconciler
    from videoconf.archives.record import Archives
    from videoconf.attendance.across import AttendanceAcross
    from videoconf.attendance.now import PeopleNow
    from videoconf.attendance.privacy import Persons
    from videoconf.attendance.queries import Attendance
    from videoconf.attendance.roster import RosterReconciler
    from videoconf.door.invitations import Invitations
    from videoconf.door.join import Door
    from videoconf.door.lobby import Lobby
    from videoconf.door.retention import DoorRetention
    from videoconf.events.answers import Answers
    from videoconf.events.deliveries import Deliveries, DeliveryRetention
    from videoconf.events.dispatch import Dispatcher
    from videoconf.events.log import EventRetention
    from videoconf.events.projector import Projector
    from videoconf.events.sender import Sender
    from videoconf.events.silence import Silence
    from videoconf.events.subscriptions import Subscriptions
    from videoconf.events.waiting import Waiting
    from videoconf.hooks import Plugins
    from videoconf.jobs.queue import Jobs
    from videoconf.jobs.work import Work
    from videoconf.meetings.bans import Bans
    from videoconf.meetings.create import Creation
    from videoconf.meetings.edit import Editing
    from videoconf.meetings.end import Ending
    from videoconf.meetings.join import Joining
    from videoconf.meetings.moderate import Moderation
    from videoconf.meetings.session import Sessions
    from videoconf.providers import Clock
    from videoconf.providers.http import CallOutcome
    from videoconf.settings import Settings
    from videoconf.storage_targets.change import TargetChanges
    from videoconf.storage_targets.credentials import StoredCredentials
    from videoconf.webhooks.refusals import Refusals
    from videoconf.webhooks.retention import InboxRetention

EXTENSION = "videoconf"


class Services(Foundation):
    """The parts of one application. Once all are made, thread-safe.

    :param in_context: opens a context of the application.
    :param works: declares what is left to jobs.
    :param make_answers: makes what events hold, which the views know.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        plugins: Plugins | None,
        *,
        from_environment: bool,
        count_call: Callable[[CallOutcome], None] | None,
        in_context: Callable[[], AbstractContextManager[object]],
        works: Callable[[Services], Iterable[Work]],
        make_answers: Callable[[Attendance], Answers],
    ) -> None:
        super().__init__(settings, clock, plugins, from_environment=from_environment, count_call=count_call)
        self._in_context = in_context
        self._works = works
        self._make_answers = make_answers

    def make_all(self) -> None:
        """Make every part that is not made yet."""
        for name in dir(type(self)):
            if isinstance(getattr(type(self), name), cached_property):
                getattr(self, name)

    # --- storage targets --------------------------------------------------------------------------------------------

    @cached_property
    def credentials(self) -> StoredCredentials:
        from videoconf.events.subscription_models import EventSubscription
        from videoconf.storage_targets.credentials import StoredCredentials
        from videoconf.storage_targets.models import StorageTargetRow

        return StoredCredentials(self.cipher, (StorageTargetRow.configuration, EventSubscription.secret))

    @cached_property
    def target_changes(self) -> TargetChanges:
        from videoconf.storage_targets.change import TargetChanges

        return TargetChanges(self.targets, self.providers, self.jobs, self.settings, self.cipher)

    # --- jobs -------------------------------------------------------------------------------------------------------

    @cached_property
    def jobs(self) -> Jobs:
        from videoconf.jobs.queue import Jobs

        jobs = Jobs(self.tracing.job) if self.tracing is not None else Jobs()
        jobs.declare(*self._works(self))
        return jobs

    # --- meetings ---------------------------------------------------------------------------------------------------

    @cached_property
    def sessions(self) -> Sessions:
        from videoconf.meetings.session import Sessions
        from videoconf.webhooks.receive import REPLAY

        return Sessions(REPLAY)

    @cached_property
    def creation(self) -> Creation:
        from videoconf.meetings.create import Creation

        return Creation(self.providers, self.sessions, self.targets, self.clock)

    @cached_property
    def editing(self) -> Editing:
        from videoconf.meetings.edit import Editing

        return Editing(self.clock)

    @cached_property
    def ending(self) -> Ending:
        from videoconf.meetings.end import Ending

        return Ending(self.providers, self.jobs)

    @cached_property
    def joining(self) -> Joining:
        from videoconf.meetings.join import Joining

        return Joining(self.providers, self.sessions, self.targets, self.settings, self.clock)

    @cached_property
    def moderation(self) -> Moderation:
        from videoconf.meetings.moderate import Moderation

        return Moderation(self.providers)

    @cached_property
    def bans(self) -> Bans:
        from videoconf.meetings.bans import Bans

        return Bans(self.providers, self.jobs, self.settings, self.clock)

    # --- the door ---------------------------------------------------------------------------------------------------

    @cached_property
    def invitations(self) -> Invitations:
        from videoconf.door.invitations import Invitations

        return Invitations(self.providers, self.settings, self.clock)

    @cached_property
    def door(self) -> Door:
        from videoconf.door.join import Door

        return Door(self.joining, self.clock)

    @cached_property
    def lobby(self) -> Lobby:
        from videoconf.door.lobby import Lobby

        return Lobby()

    # --- attendance -------------------------------------------------------------------------------------------------

    @cached_property
    def attendance(self) -> Attendance:
        from videoconf.attendance.queries import Attendance

        return Attendance(self.settings, self.clock)

    @cached_property
    def across(self) -> AttendanceAcross:
        from videoconf.attendance.across import AttendanceAcross

        return AttendanceAcross(self.attendance)

    @cached_property
    def people_now(self) -> PeopleNow:
        from videoconf.attendance.now import PeopleNow

        return PeopleNow(self.settings, self.clock)

    @cached_property
    def persons(self) -> Persons:
        from videoconf.attendance.privacy import Persons
        from videoconf.door import privacy
        from videoconf.webhooks.retention import forget_bodies

        return Persons(forget_bodies, (privacy,))

    @cached_property
    def rosters(self) -> RosterReconciler:
        from videoconf.attendance.roster import RosterReconciler

        return RosterReconciler(self.providers, self.settings, self.clock)

    # --- archives ---------------------------------------------------------------------------------------------------

    @cached_property
    def archives(self) -> Archives:
        from videoconf.archives.record import Archives

        return Archives(self.providers, self.targets)

    @cached_property
    def automatic_archiving(self) -> AutomaticArchiving:
        from videoconf.archives.automatic import AutomaticArchiving

        return AutomaticArchiving(self.providers, self.archives, self.settings, self.clock)

    @cached_property
    def pulling(self) -> Pulling:
        from videoconf.archives.copy import Pulling

        return Pulling(self.providers, self.targets, self.settings)

    @cached_property
    def deletion(self) -> Deletion:
        from videoconf.archives.delete import Deletion

        return Deletion(self.providers, self.jobs, self.targets, self.settings)

    @cached_property
    def reconciler(self) -> Reconciler:
        from videoconf.archives.reconcile import Reconciler

        return Reconciler(self.providers)

    @cached_property
    def downloads(self) -> Downloads:
        from videoconf.archives.download import Downloads

        return Downloads(self.providers, self.targets, self.settings)

    # --- webhooks ---------------------------------------------------------------------------------------------------

    @cached_property
    def refusals(self) -> Refusals:
        from videoconf.webhooks.refusals import Refusals

        refusals = Refusals(self._in_context)
        self.closing.callback(refusals.close)
        return refusals

    # --- events -----------------------------------------------------------------------------------------------------

    @cached_property
    def projector(self) -> Projector:
        from videoconf.events.projector import Projector

        return Projector(lambda: self._make_answers(self.attendance))

    @cached_property
    def waiting(self) -> Waiting:
        from videoconf.events.log import newest_position
        from videoconf.events.waiting import Waiting

        waiting = Waiting(newest_position)
        self.closing.callback(waiting.stop)
        return waiting

    @cached_property
    def sender(self) -> Sender:
        from videoconf.events.sender import Sender
        from videoconf.storage import EndpointGuard

        settings = self.settings
        hosts = (*settings.event_hosts, "*:*")
        sender = Sender(EndpointGuard(hosts, development=settings.development, proxy=settings.proxy))
        self.closing.callback(sender.close)
        return sender

    @cached_property
    def dispatcher(self) -> Dispatcher:
        from videoconf.events.dispatch import Dispatcher

        return Dispatcher(self.cipher, self.sender, self.clock)

    @cached_property
    def subscriptions(self) -> Subscriptions:
        from videoconf.events.subscriptions import Subscriptions

        return Subscriptions(self.cipher, self.sender, self.clock)

    @cached_property
    def deliveries(self) -> Deliveries:
        from videoconf.events.deliveries import Deliveries

        return Deliveries(self.clock)

    # --- recurring work ---------------------------------------------------------------------------------------------

    @cached_property
    def reap_idempotency_keys(self) -> Callable[[], None]:
        from videoconf.idempotency import reap

        return reap

    @cached_property
    def place_connections(self) -> Callable[[], None]:
        from videoconf.attendance.place import place_connections

        return place_connections

    @cached_property
    def place_events(self) -> Callable[[], None]:
        from videoconf.webhooks.place import place_events

        return place_events

    @cached_property
    def silence(self) -> Silence:
        from videoconf.events.silence import Silence

        return Silence(timedelta(hours=self.settings.connection_cap_hours), self.clock)

    @cached_property
    def inbox_retention(self) -> InboxRetention:
        from videoconf.webhooks.retention import InboxRetention

        return InboxRetention(self.settings, self.clock)

    @cached_property
    def door_retention(self) -> DoorRetention:
        from videoconf.door.retention import DoorRetention

        return DoorRetention(self.settings)

    @cached_property
    def event_retention(self) -> EventRetention:
        from videoconf.events.log import EventRetention

        return EventRetention(self.settings.event_retention_days)

    @cached_property
    def delivery_retention(self) -> DeliveryRetention:
        from videoconf.events.deliveries import DeliveryRetention

        return DeliveryRetention(self.settings.event_retention_days)


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
