"""``videoconf``, and ``flask --app videoconf.app videoconf``: the command line of operators and developers."""

from __future__ import annotations

import atexit
import gc
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from videoconf import __version__
from videoconf.cli.application import application
from videoconf.errors import DatabaseUnavailable, SchemaNotReady, VideoconfError

if TYPE_CHECKING:
    from videoconf.providers import Provider

# Imports create objects that stay. By default Python searches them for garbage every 700 objects, which takes a tenth
# of a command's time, and all of them at its exit, which takes a fifth. Frozen objects are not searched.
gc.set_threshold(200_000)
atexit.register(gc.freeze)

COMMANDS = {
    "audit": "videoconf.cli.audit:audit",
    "db": "videoconf.cli.migrations:db_commands",
    "deliveries": "videoconf.cli.deliveries:deliveries",
    "dev": "videoconf.cli.dev:dev",
    "doctor": "videoconf.cli.doctor:doctor",
    "events": "videoconf.cli.events:events",
    "explain": "videoconf.cli.explain:explain",
    "jobs": "videoconf.cli.jobs:jobs",
    "new-plugin": "videoconf.cli.new_plugin:new_plugin",
    "openapi": "videoconf.cli.openapi:openapi",
    "person": "videoconf.cli.person:person",
    "providers": "videoconf.cli.providers:providers",
    "rotate-keys": "videoconf.cli.rotation:rotate_keys",
    "serve": "videoconf.cli.serve:serve",
    "token": "videoconf.cli.token:token",
    "webhooks": "videoconf.cli.webhooks:webhooks",
    "worker": "videoconf.cli.worker:worker",
}
"""Each command, and where it is. It is imported when it is used, or listed."""
DB_HELP = "Create and upgrade the database's tables: `db upgrade`."
"""Flask-Migrate's own takes longer to import than everything else that a list of commands needs."""


class CommandGroup(click.Group):
    """Our own commands, and those of the installed plugins. Errors are sentences, never a stack trace."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            said = _said_of_database(error) or (str(error) if isinstance(error, VideoconfError) else "")
            if not said:
                raise
            raise click.ClickException(said) from error

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return _plugin_commands().get(name)
        module, _, attribute = COMMANDS[name].partition(":")
        found = getattr(import_module(module), attribute)
        command: click.Command = found(ctx) if name == "db" else found
        return command

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*COMMANDS, *_plugin_commands()})

    def summaries(self, ctx: click.Context) -> list[tuple[str, str]]:
        """Return each command with its whole first sentence: click would cut it at the terminal's edge."""
        found = []
        for name in self.list_commands(ctx):
            command = None if name == "db" else self.get_command(ctx, name)
            found.append((name, command.get_short_help_str(200) if command else DB_HELP))
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(self.summaries(ctx))


def _said_of_database(error: Exception) -> str:
    """Translate a failure of the database into a message without the statement and its values."""
    exc = sys.modules.get("sqlalchemy.exc")  # not imported: no command used the database
    if exc is None or not isinstance(error, DatabaseUnavailable | SchemaNotReady | exc.SQLAlchemyError):
        return ""
    from videoconf.db.faults import explain

    with application().app_context():
        fault = explain(error)
    return str(fault) if fault else ""


def _plugin_commands() -> dict[str, click.Command]:
    from videoconf.hooks import build_registry, load_plugins

    return {command.name: command for command in build_registry(load_plugins()).commands if command.name}


@click.group(cls=CommandGroup)
@click.version_option(__version__, prog_name="videoconf")
@click.option(
    "--env-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Read settings from this file first; those of the environment win.",
)
@click.pass_context
def commands(ctx: click.Context, env_file: Path | None) -> None:
    """Serve, operate and try out videoconf."""
    if env_file is not None:
        from dotenv import load_dotenv

        load_dotenv(env_file)

    def provider(key: str) -> Provider:
        from videoconf.api.services import configured

        return configured(application()).providers.get(key).plugin

    ctx.meta["videoconf.provider"] = provider  # what a plugin's command works on; it never sees Flask
