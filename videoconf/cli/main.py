"""``flask videoconf``: the command line of operators and developers."""

from __future__ import annotations

import json
import signal
import threading
from typing import Any

import click
from flask import Flask
from flask.cli import AppGroup, ScriptInfo
from sqlalchemy.exc import SQLAlchemyError

from videoconf.api.health import warn_of_schema
from videoconf.api.keys import mint_token
from videoconf.api.openapi import openapi_json
from videoconf.api.permissions import Permission
from videoconf.api.services import configured, services
from videoconf.cli.dev import dev
from videoconf.cli.doctor import doctor
from videoconf.cli.jobs import jobs
from videoconf.cli.new_plugin import new_plugin
from videoconf.cli.providers import providers
from videoconf.cli.rotation import rotate_keys
from videoconf.errors import ConfigurationError, VideoconfError
from videoconf.hooks import build_registry, load_plugins
from videoconf.jobs.worker import Worker
from videoconf.providers import Provider
from videoconf.tenancy import Caller


class CommandGroup(AppGroup):
    """Our own commands, and those of the installed plugins. Errors are sentences, never tracebacks."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except VideoconfError as error:
            raise click.ClickException(str(error)) from error
        except SQLAlchemyError as error:  # its text holds the statement and what was to be stored
            raise click.ClickException(
                "The database cannot do this. `flask --app videoconf.app videoconf doctor` says why."
            ) from error

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return super().get_command(ctx, name) or _plugin_commands().get(name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_plugin_commands()})

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, each with its whole first sentence: click would cut it at the terminal's edge."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(200)) for name, command in found if command])


def _plugin_commands() -> dict[str, click.Command]:
    return {command.name: command for command in build_registry(load_plugins()).commands if command.name}


@click.group(cls=CommandGroup)
@click.pass_context
def commands(ctx: click.Context) -> None:
    """Operate and try out videoconf."""

    def provider(key: str) -> Provider:
        return configured(_app(ctx)).providers.get(key).plugin

    ctx.meta["videoconf.provider"] = provider  # what a plugin's command works on; it never sees Flask


for command in (dev, doctor, jobs, new_plugin, providers, rotate_keys):
    commands.add_command(command)


@commands.command()
@click.option(
    "--permission",
    "permissions",
    multiple=True,
    type=click.Choice([permission.value for permission in Permission]),  # of an enum, click would take the names
    help="May be repeated.",
)
@click.option("--all", "every", is_flag=True, help="Every permission.")
@click.option("--subject", default="operator", show_default=True, help="Who the bearer is, for the audit trail.")
@click.option("--tenant", help="The bearer's tenant; the default tenant when absent.")
@click.option("--role", "roles", multiple=True, help="Limits the meeting roles that the bearer may give.")
@click.option("--ttl", "ttl_seconds", type=click.IntRange(min=1), default=3600, show_default=True, help="Seconds.")
@click.pass_context
def token(
    ctx: click.Context,
    permissions: tuple[str, ...],
    every: bool,
    subject: str,
    tenant: str | None,
    roles: tuple[str, ...],
    ttl_seconds: int,
) -> None:
    """Mint a bearer token with the first of VIDEOCONF_JWT_SECRETS."""
    if every == bool(permissions):
        raise click.UsageError("Give one or more of --permission, or --all.")
    granted = list(Permission) if every else [Permission(permission) for permission in permissions]
    settings = services(_app(ctx)).settings
    if not settings.jwt_secrets:
        raise click.ClickException("VIDEOCONF_JWT_SECRETS is not set: there is nothing to sign with.")
    click.echo(
        mint_token(
            settings,
            subject=subject,
            permissions=granted,
            tenant=tenant,
            ttl_seconds=ttl_seconds,
            meeting_roles=roles or None,
        )
    )


@commands.command()
@click.option("--threads", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option("--once", is_flag=True, help="Run what is due now, then stop.")
@click.pass_context
def worker(ctx: click.Context, threads: int, once: bool) -> None:
    """Run jobs until TERM or Ctrl-C, which let the jobs under way finish."""
    app = _app(ctx)
    parts = configured(app)
    with app.app_context():
        if faults := parts.credentials.faults():
            raise ConfigurationError(faults)
        warn_of_schema()
    jobs = parts.jobs
    if once:
        with app.app_context():
            click.echo(f"{jobs.run_due()} jobs tried")
        return
    stopping = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopping.set())
    running = Worker(jobs, app.app_context, threads=threads)
    running.start()
    stopping.wait()
    running.stop()


@commands.group()
def person() -> None:
    """Give out, or erase, what is stored of one person across all meetings of a tenant."""


of_tenant = click.option("--tenant", help="The person's tenant; the default tenant when absent.")
by_operator = click.option("--actor", default="operator", show_default=True, help="Who does it, for the audit trail.")


@person.command()
@click.argument("attendee")
@of_tenant
@by_operator
@click.pass_context
def export(ctx: click.Context, attendee: str, tenant: str | None, actor: str) -> None:
    """Print what is stored under a person's id, as JSON."""
    app = _app(ctx)
    with app.app_context():
        click.echo(json.dumps(services(app).persons.export(_operator(app, actor, tenant), attendee), indent=2))


@person.command()
@click.argument("attendee")
@of_tenant
@by_operator
@click.pass_context
def erase(ctx: click.Context, attendee: str, tenant: str | None, actor: str) -> None:
    """Take a person's id and name off all their connections. This cannot be undone."""
    app = _app(ctx)
    with app.app_context():
        erased = services(app).persons.erase(_operator(app, actor, tenant), attendee)
        click.echo(f"{erased} connections are anonymous now")


@commands.command()
@click.pass_context
def openapi(ctx: click.Context) -> None:
    """Print the OpenAPI document."""
    click.echo(openapi_json(_app(ctx)), nl=False)


def _operator(app: Flask, actor: str, tenant: str | None) -> Caller:
    return Caller(actor, tenant or configured(app).settings.default_tenant)


def _app(ctx: click.Context) -> Flask:
    return ctx.ensure_object(ScriptInfo).load_app()
