"""Create the application: numbered steps that wire the parts together, without other logic."""

from __future__ import annotations

import logging
import weakref
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import click
from flask import Flask

from videoconf import idempotency
from videoconf.api.database import INSTANCE, database_faults, init_database, init_migrations
from videoconf.api.database_checks import faults_at_start
from videoconf.api.keys import auth_faults
from videoconf.api.limit_faults import limit_faults
from videoconf.api.services import EXTENSION, Services
from videoconf.archives.automatic import RECORD_MEETING, AutomaticArchiving
from videoconf.archives.copy import DELETE_PULLED, Pulling
from videoconf.archives.delete import Deletion
from videoconf.archives.download import Downloads
from videoconf.archives.merge import ERASE_ARCHIVE, PULL_ARCHIVE
from videoconf.archives.reconcile import RECONCILE_MEETING, Reconciler
from videoconf.archives.record import Archives
from videoconf.attendance.across import AttendanceAcross
from videoconf.attendance.now import PeopleNow
from videoconf.attendance.place import place_connections
from videoconf.attendance.privacy import Persons
from videoconf.attendance.queries import Attendance
from videoconf.attendance.roster import RosterReconciler
from videoconf.configuration import declared, read
from videoconf.db.types import db
from videoconf.door import privacy as door_privacy
from videoconf.door.invitations import Invitations
from videoconf.door.join import Door
from videoconf.door.lobby import Lobby
from videoconf.door.retention import DoorRetention
from videoconf.errors import ConfigurationError
from videoconf.events.answers import Answers
from videoconf.events.deliveries import Deliveries, DeliveryRetention
from videoconf.events.dispatch import Dispatcher
from videoconf.events.log import EventRetention, newest_position
from videoconf.events.projector import Projector
from videoconf.events.sender import Sender
from videoconf.events.silence import Silence
from videoconf.events.subscription_models import EventSubscription
from videoconf.events.subscriptions import Subscriptions
from videoconf.events.threads import event_threads
from videoconf.events.waiting import Waiting
from videoconf.hooks import Plugins, Registry, build_registry, enable_providers, load_plugins, settings_prefix
from videoconf.jobs.queue import Jobs, prune_jobs
from videoconf.jobs.work import Work, recurring
from videoconf.jobs.worker import Worker
from videoconf.meetings.bans import HOLD_BANS, Bans
from videoconf.meetings.create import Creation
from videoconf.meetings.edit import Editing
from videoconf.meetings.end import Ending
from videoconf.meetings.join import Joining
from videoconf.meetings.models import END_SESSION
from videoconf.meetings.moderate import Moderation
from videoconf.meetings.session import Sessions
from videoconf.observability.logging import configure_logging
from videoconf.observability.metrics import LOG_LINES_LOST, observe_call
from videoconf.observability.tracing import Tracing, tracing_faults
from videoconf.providers import Clock, ProviderContext
from videoconf.providers.clients import Clients
from videoconf.providers.http import CallOutcome
from videoconf.settings import Settings
from videoconf.spelling import proposal
from videoconf.storage import EndpointGuard, StorageContext
from videoconf.storage.port import unobserved
from videoconf.storage_targets.change import SYNC_STORAGE, TargetChanges
from videoconf.storage_targets.cipher import Cipher, key_faults
from videoconf.storage_targets.credentials import StoredCredentials
from videoconf.storage_targets.in_force import StorageTargets, storage_kind_faults
from videoconf.storage_targets.models import StorageTargetRow
from videoconf.undeclared import undeclared_variables
from videoconf.webhooks.receive import REPLAY
from videoconf.webhooks.refusals import Refusals
from videoconf.webhooks.retention import InboxRetention, forget_bodies

logger = logging.getLogger(__name__)


def utc_clock() -> datetime:
    """Return the present."""
    return datetime.now(UTC)


def create_app(
    settings: Settings | None = None,
    *,
    plugins: Plugins | None = None,
    clock: Clock = utc_clock,
    serving: bool | None = None,
    edge: bool = True,
) -> Flask:
    """Make the application.

    :param settings: read from the environment when absent.
    :param plugins: those of the environment when absent.
    :param serving: whether requests will be served, which needs a working provider and keys. By default everything
        serves but a command of the command line, so that ``flask db upgrade`` works before anything is configured.
    :param edge: whether there are routes. Commands do without them, and start in half the time.
    :raises ConfigurationError: with every fault at once.
    """
    # 1. Plugins and settings. Every fault is reported before anything starts.
    unreadable: list[str] = []
    if reads_environment := settings is None:
        values, unreadable = read(Settings)
        settings = Settings(**values)
    registry = build_registry(plugins or load_plugins(keys=(*settings.providers, *settings.storage_kinds)))
    faults = _faults_of_environment(registry, settings) if reads_environment else []
    configure_logging(settings.log_level, settings.log_format, count_lost=LOG_LINES_LOST.inc, at_once=edge)
    closing = ExitStack()  # at the end of the process, what was opened last first
    jobs, observers, around_storage = Jobs(), [observe_call], unobserved
    wrong_tracing = tracing_faults(settings)
    tracing = Tracing() if settings.tracing and not wrong_tracing else None
    if tracing is not None:
        closing.callback(tracing.close)
        jobs, around_storage = Jobs(tracing.job), tracing.storage_call
        observers.append(tracing.call)

    # 2. Storage targets, and providers: only those that are listed.
    wrong_keys = key_faults(settings.encryption_keys)
    cipher = Cipher(() if wrong_keys else settings.encryption_keys)
    guard = EndpointGuard(settings.storage_hosts, development=settings.development, proxy=settings.proxy)
    targets = StorageTargets(registry, settings, cipher, StorageContext(clock, guard), around_storage)
    downloads = guard.allowing(("*:*",))  # any public host; a private one where the operator names it
    clients: dict[str, Clients] = {}

    def observe(call: CallOutcome) -> None:
        for observer in observers:
            observer(call)

    def context_of(provider: str) -> ProviderContext:
        clients[provider] = Clients(provider, settings.provider_call_slots, observe, downloads, settings.proxy)
        return ProviderContext(clock, clients[provider], settings.development, targets.open_destination)

    providers = enable_providers(registry, settings.providers, context_of)
    for provider in providers:
        closing.callback(provider.close)
    faults += [*auth_faults(settings), *wrong_keys, *limit_faults(settings), *wrong_tracing, *providers.faults]
    # Without these nothing works, and a default in their place might be another database.
    unreadable += database_faults(settings)
    serving = _is_serving() if serving is None else serving
    if unreadable or (serving and faults):
        raise ConfigurationError([*unreadable, *faults])

    # 3. Flask, and the database behind it.
    app = Flask("videoconf", static_folder=None, instance_path=INSTANCE)
    weakref.finalize(app, closing.close)
    init_database(app, settings)

    # 4. The domain, and the work that it leaves to jobs.
    sessions = Sessions(REPLAY)
    ending = Ending(providers, jobs)
    deletion = Deletion(providers, jobs, targets, settings)
    target_changes = TargetChanges(targets, providers, jobs, settings, cipher)
    creation = Creation(providers, sessions, targets, clock)
    credentials = StoredCredentials(cipher, (StorageTargetRow.configuration, EventSubscription.secret))
    attendance = Attendance(settings, clock)
    archives = Archives(providers, targets)
    joining = Joining(providers, sessions, targets, settings, clock)
    held = Bans(providers, jobs, settings, clock)
    weak = weakref.proxy(app)  # what is closed when the application is gone must not keep it
    refusals = Refusals(lambda: weak.app_context())
    closing.callback(refusals.close)
    projector, waiting = Projector(lambda: _answers(attendance)), Waiting(newest_position)
    closing.callback(waiting.stop)
    receivers = EndpointGuard((*settings.event_hosts, "*:*"), development=settings.development, proxy=settings.proxy)
    sender = Sender(receivers)
    closing.callback(sender.close)
    dispatcher = Dispatcher(cipher, sender, clock)
    app.extensions[EXTENSION] = Services(
        settings=settings,
        registry=registry,
        providers=providers,
        jobs=jobs,
        creation=creation,
        editing=Editing(clock),
        ending=ending,
        attendance=attendance,
        across=AttendanceAcross(attendance),
        people_now=PeopleNow(settings, clock),
        persons=Persons(forget_bodies, (door_privacy,)),
        joining=joining,
        moderation=Moderation(providers),
        bans=held,
        invitations=Invitations(providers, settings, clock),
        door=Door(joining, clock),
        lobby=Lobby(),
        archives=archives,
        deletion=deletion,
        clients=clients,
        targets=targets,
        target_changes=target_changes,
        credentials=credentials,
        downloads=Downloads(providers, targets, settings),
        refusals=refusals,
        projector=projector,
        waiting=waiting,
        subscriptions=Subscriptions(cipher, sender, clock),
        deliveries=Deliveries(clock),
        dispatcher=dispatcher,
        clock=clock,
        faults=tuple(faults),
        closing=closing,
    )
    copying = Pulling(providers, targets, settings)
    reconciler = Reconciler(providers, deletion)
    automatic = AutomaticArchiving(providers, archives, settings, clock)
    jobs.declare(
        Work(END_SESSION, ending.end_at_provider),
        Work(ERASE_ARCHIVE, deletion.erase, erases=True),
        Work(PULL_ARCHIVE, copying.pull, takes_long=True),
        Work(DELETE_PULLED, copying.delete_original, erases=True),
        Work(RECONCILE_MEETING, reconciler.reconcile_meeting),
        Work(RECORD_MEETING, automatic.record),
        Work(SYNC_STORAGE, target_changes.sync),
        Work(HOLD_BANS, held.hold),
        # Databases have the job's row under this name, which says more than the job does.
        recurring("complete_creations", 60, creation.take_back_abandoned),
        recurring("reap_idempotency_keys", 600, idempotency.reap),
        recurring("reconcile_archives", 60, reconciler.sweep),
        recurring("record_meetings", 60, automatic.sweep),
        recurring("resume_pulls", 900, copying.resume),
        recurring("expire_archives", 3600, deletion.expire),
        recurring("prune_inbox", 3600, InboxRetention(settings, clock).run),
        recurring("prune_jobs", 3600, prune_jobs),
        recurring("prune_door", 3600, DoorRetention(settings).run),
        recurring("place_connections", 60, place_connections),
        recurring("sweep_bans", 15, held.sweep),
        recurring("notice_silence", 60, Silence(timedelta(hours=settings.connection_cap_hours), clock).run),
        recurring("prune_events", 3600, EventRetention(settings.event_retention_days).run),
        recurring("prune_deliveries", 3600, DeliveryRetention(settings.event_retention_days).run),
    )
    if settings.roster_seconds:
        rosters = RosterReconciler(providers, settings, clock)
        jobs.declare(recurring("reconcile_rosters", rosters.period_seconds, rosters.run))

    # 5. The edge: who calls, what may be sent, how errors look.
    if edge:
        from videoconf.edge import init_edge

        init_edge(app, settings, targets, tracing)
        if not serving:
            init_migrations(app)

    # 6. Job threads, in processes that serve. One that cannot decrypt what is stored does not.
    if serving:
        with app.app_context():
            faults = faults_at_start()
            db.engine.dispose()  # a server may fork after this, and a connection is one process's
        if faults:
            raise ConfigurationError(faults)
        if settings.embedded_workers:
            worker = Worker(jobs, app.app_context, threads=settings.embedded_workers)
            worker.start()
            jobs.threads_state = lambda: worker.state
            pushing = event_threads(projector, dispatcher, app.app_context)
            pushing.start()
            closing.callback(pushing.stop)
            closing.callback(worker.stop)  # a server that stops lets the job under way finish
    return app


def _answers(attendance: Attendance) -> Answers:
    # With the views, whose functions it uses: a command that projects nothing does not import them.
    from videoconf.api.projected import ApiAnswers

    return ApiAnswers(attendance)


def _is_serving() -> bool:
    """Return whether this process is a server: anything but a command other than ``flask run``."""
    context = click.get_current_context(silent=True)
    return context is None or context.info_name == "run"


def _faults_of_environment(registry: Registry, settings: Settings) -> list[str]:
    """Refuse unknown storage kinds, and misspelt variables but those of plugins that were not imported."""
    known = declared(Settings)
    for key in registry.configurable:
        known += registry.settings_of(key)
    broken = tuple(settings_prefix(failure.origin.name) for failure in registry.failures)
    not_enabled = tuple(settings_prefix(origin.name) for origin in registry.skipped)
    found = undeclared_variables(known)
    if found.injected:
        logger.warning(
            "%s ignored: Kubernetes sets them for a Service whose name begins with videoconf. Set"
            " `enableServiceLinks: false` in the pod's spec",
            ", ".join(found.injected),
        )
    faults = list(storage_kind_faults(registry, settings.storage_kinds))
    for name in found.unknown:
        if broken and name.startswith(broken):
            logger.warning("%s belongs to a plugin that cannot be loaded and is not read", name)
        elif not name.startswith(not_enabled):
            nearest = proposal(name, (row.variable for row in known))
            faults.append(f"{name} is not a setting.{nearest} Correct its spelling, or unset it.")
    return faults
