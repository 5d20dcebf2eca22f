"""``videoconf serve``: serve the API with gunicorn, from the installed package alone, in any folder."""

from __future__ import annotations

import os
import sys

import click

CONFIGURATION = "python:videoconf.gunicorn_config"
APPLICATION = "videoconf.wsgi:app"


@click.command()
@click.option(
    "--bind",
    "binds",
    multiple=True,
    metavar="ADDRESS",
    help="HOST:PORT or unix:PATH, may be repeated; 127.0.0.1:8000 unless PORT is set.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Server processes; WEB_CONCURRENCY when absent, else 1.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def serve(binds: tuple[str, ...], workers: int | None, arguments: tuple[str, ...]) -> None:
    """Serve the API with gunicorn and the settings that videoconf is tuned for.

    gunicorn gets what follows `--`: `videoconf serve -- --access-logfile -`.
    """
    # In place of this process, so that signals and exit codes are gunicorn's own.
    os.execv(sys.executable, gunicorn_command(binds, workers, arguments))  # noqa: S606  # no shell is wanted


def gunicorn_command(binds: tuple[str, ...], workers: int | None, arguments: tuple[str, ...] = ()) -> list[str]:
    """Return the command that serves."""
    command = [sys.executable, "-m", "gunicorn", "--config", CONFIGURATION]
    command += [f"--bind={bind}" for bind in binds]
    if workers is not None:
        command.append(f"--workers={workers}")
    return [*command, *arguments, APPLICATION]
