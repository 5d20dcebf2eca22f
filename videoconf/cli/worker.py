"""``videoconf worker``: run jobs in a process of their own."""

from __future__ import annotations

import signal
import threading

import click

from videoconf.cli.application import application


@click.command()
@click.option("--threads", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option("--once", is_flag=True, help="Run what is due now, then stop.")
def worker(threads: int, once: bool) -> None:
    """Run jobs until TERM or Ctrl-C, which let the jobs under way finish."""
    from videoconf.api.database_checks import faults_at_start
    from videoconf.api.services import configured
    from videoconf.cli.process import log_start, serve_metrics
    from videoconf.errors import ConfigurationError
    from videoconf.events.threads import event_threads
    from videoconf.jobs.worker import Worker

    app = application(with_routes=True)  # for a process that lives long, everything is imported at its start
    parts = configured(app)
    with app.app_context():
        if faults := faults_at_start():
            raise ConfigurationError(faults)
    jobs = parts.jobs
    if once:
        with app.app_context():
            click.echo(f"{jobs.run_due()} jobs tried")
            parts.projector.run()
            parts.dispatcher.run()
        return
    log_start(parts, role="worker", workers=1, job_threads=threads)
    metrics = serve_metrics(app)
    stopping = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopping.set())
    running = Worker(jobs, app.app_context, threads=threads)
    pushing = event_threads(parts.projector, parts.dispatcher, app.app_context)
    running.start()
    pushing.start()
    stopping.wait()
    pushing.stop()
    running.stop()
    if metrics is not None:
        metrics.stop()
