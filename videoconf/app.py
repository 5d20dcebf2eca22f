"""Create the application, step by step: settings, the parts, the database, the edge, and job threads."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from flask import Flask
from flask.cli import run_command

from videoconf.api.database import INSTANCE, database_faults, init_database, init_migrations
from videoconf.api.services import EXTENSION, Services
from videoconf.configuration import read
from videoconf.errors import ConfigurationError
from videoconf.observability.logging import configure_logging
from videoconf.settings import Settings

if TYPE_CHECKING:
    from videoconf.attendance.queries import Attendance
    from videoconf.events.answers import Answers
    from videoconf.hooks import Plugins
    from videoconf.jobs.work import Work
    from videoconf.providers import Clock


def utc_clock() -> datetime:
    """Return the present."""
    return datetime.now(UTC)


class Service(Flask):
    """The application."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Take every view and hook as it is. Flask would look for coroutines, sixteen times in a request (15 µs)."""
        return func


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
    :param edge: whether there are routes, and every part from the start. Commands do without: they import the parts
        that they use when they use them.
    :raises ConfigurationError: with every fault at once.
    """
    # 1. Settings.
    unreadable: list[str] = []
    if from_environment := settings is None:
        values, unreadable = read(Settings)
        settings = Settings(**values)
    serving = _is_serving() if serving is None else serving
    _log(settings, for_long=edge)

    # 2. The parts: videoconf/api/services.py says how they are wired. Every fault is reported before anything starts.
    app = Service("videoconf", static_folder=None, instance_path=INSTANCE)
    weak = weakref.proxy(app)  # what is closed when the application is gone must not keep it
    parts = Services(
        settings,
        clock,
        plugins,
        from_environment=from_environment,
        in_context=lambda: weak.app_context(),
        works=works,
        make_answers=_answers,
    )
    app.extensions[EXTENSION] = parts
    weakref.finalize(app, parts.closing.close)
    # Without these nothing works, and a default in their place might be another database.
    unreadable += database_faults(settings)
    if unreadable or (serving and parts.faults):
        raise ConfigurationError([*unreadable, *parts.faults])

    # 3. The database.
    init_database(app, settings)

    # 4. The edge: who calls, what may be sent, how errors look.
    if edge:
        from videoconf.edge import init_edge

        parts.make_all()
        init_edge(app, settings, parts.targets, parts.tracing)
        if not serving:
            init_migrations(app)

    # 5. Job threads, in processes that serve. One that cannot decrypt what is stored does not.
    if serving:
        _start_serving(app, parts)
    return app


def works(parts: Services) -> Iterator[Work]:
    """Declare every kind of work. A part is made when the first job of its kinds runs, if it is not made yet."""
    from videoconf.attendance.roster_periods import shortest_period
    from videoconf.jobs import kinds
    from videoconf.jobs.queue import prune_jobs
    from videoconf.jobs.work import Work, recurring

    yield Work(kinds.END_SESSION, lambda payload: parts.ending.end_at_provider(payload))
    yield Work(kinds.ERASE_ARCHIVE, lambda payload: parts.deletion.resume(payload["id"]), erases=True)
    yield Work(kinds.PULL_ARCHIVE, lambda payload: parts.pulling.pull(payload), takes_long=True)
    yield Work(kinds.DELETE_PULLED, lambda payload: parts.pulling.delete_original(payload), erases=True)
    yield Work(kinds.RECONCILE_MEETING, lambda payload: parts.reconciler.reconcile(payload["meeting_id"]))
    yield Work(kinds.RECORD_MEETING, lambda payload: parts.automatic_archiving.record(payload))
    yield Work(kinds.SYNC_STORAGE, lambda payload: parts.target_changes.sync(payload))
    yield Work(kinds.HOLD_BANS, lambda payload: parts.bans.hold(payload))
    # Databases have the job's row under this name, which says more than the job does.
    yield recurring("complete_creations", 60, lambda: parts.creation.take_back_abandoned())
    yield recurring("reap_idempotency_keys", 600, lambda: parts.reap_idempotency_keys())
    yield recurring("reconcile_archives", 60, lambda: parts.reconciler.sweep())
    yield recurring("record_meetings", 60, lambda: parts.automatic_archiving.sweep())
    yield recurring("resume_pulls", 900, lambda: parts.pulling.resume())
    yield recurring("expire_archives", 3600, lambda: parts.deletion.expire())
    yield recurring("prune_inbox", 3600, lambda: parts.inbox_retention.run())
    yield recurring("prune_jobs", 3600, prune_jobs)
    yield recurring("prune_door", 3600, lambda: parts.door_retention.run())
    yield recurring("place_connections", 60, lambda: parts.place_connections())
    yield recurring("sweep_bans", 15, lambda: parts.bans.sweep())
    yield recurring("notice_silence", 60, lambda: parts.silence.run())
    yield recurring("prune_events", 3600, lambda: parts.event_retention.run())
    yield recurring("prune_deliveries", 3600, lambda: parts.delivery_retention.run())
    if parts.settings.roster_seconds:
        period = shortest_period(parts.providers, parts.settings)
        yield recurring("reconcile_rosters", period, lambda: parts.rosters.run())


def _start_serving(app: Flask, parts: Services) -> None:
    from videoconf.api.database_checks import faults_at_start
    from videoconf.db.types import db
    from videoconf.events.threads import event_threads
    from videoconf.jobs.worker import Worker

    with app.app_context():
        faults = faults_at_start()
        db.engine.dispose()  # a server may fork after this, and a connection is one process's
    if faults:
        raise ConfigurationError(faults)
    if threads := parts.settings.embedded_workers:
        worker = Worker(parts.jobs, app.app_context, threads=threads)
        worker.start()
        parts.jobs.threads_state = lambda: worker.state
        pushing = event_threads(parts.projector, parts.dispatcher, app.app_context)
        pushing.start()
        parts.closing.callback(pushing.stop)
        parts.closing.callback(worker.stop)  # a server that stops lets the job under way finish


def _log(settings: Settings, *, for_long: bool) -> None:
    count_lost = None
    if for_long:
        from videoconf.observability.metrics import LOG_LINES_LOST

        count_lost = LOG_LINES_LOST.inc
    configure_logging(settings.log_level, settings.log_format, count_lost=count_lost, at_once=for_long)


def _answers(attendance: Attendance) -> Answers:
    # With the views, whose functions it uses: a command that projects nothing does not import them.
    from videoconf.api.projected import ApiAnswers

    return ApiAnswers(attendance)


def _is_serving() -> bool:
    """Return whether this process is a server: anything but a command other than ``flask run``."""
    context = click.get_current_context(silent=True)
    return context is None or context.command is run_command
