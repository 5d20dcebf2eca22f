"""What a command works on, made when the command first needs it: the settings, or the application.

The application of a command has no routes, and imports its other parts when they are used: a command starts as quickly
as what it asks for can be imported. The whole application is for commands that serve or describe it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

if TYPE_CHECKING:
    from flask import Flask
    from flask.cli import ScriptInfo

    from videoconf.hooks import Registry
    from videoconf.settings import Settings
    from videoconf.tenancy import Caller

Command = TypeVar("Command", bound=Callable[..., Any])


def create_app(*, edge: bool) -> Flask:
    """Make the application of ``videoconf …``.

    :raises ConfigurationError: it cannot be made.
    """
    # By name, as `flask --app videoconf.app` does it: commands are a layer below what makes the application.
    app: Flask = import_module("videoconf.app").create_app(edge=edge)
    return app


def script(ctx: click.Context | None = None, make: Callable[[], Flask] | None = None) -> ScriptInfo:
    """Return what makes the application: that of ``flask --app …``, or for ``videoconf …`` one of our own.

    :param make: makes our own; by default the application without routes.
    """
    from flask.cli import ScriptInfo

    ctx = ctx or click.get_current_context()
    if (found := ctx.find_object(ScriptInfo)) is not None:
        return found
    root = ctx.find_root()
    root.obj = ScriptInfo(create_app=make or partial(create_app, edge=False))
    # Click hands the object on when it makes the context of a subcommand; this one exists already.
    ctx.obj = root.obj
    return cast("ScriptInfo", root.obj)


def application(*, with_routes: bool = False) -> Flask:
    """Return the application.

    :raises ConfigurationError: it cannot be made.
    """
    return script(make=partial(create_app, edge=with_routes)).load_app()


def settings() -> Settings:
    """Return the core's settings.

    :raises ConfigurationError: they cannot be read.
    """
    if _exists():
        from videoconf.api.services import services

        return services(application()).settings
    from videoconf.configuration import load
    from videoconf.settings import Settings

    return load(Settings)


def registry() -> Registry:
    """Return what the enabled plugins bring.

    :raises ConfigurationError: two plugins claim one key, or the settings cannot be read.
    """
    if _exists():
        from videoconf.api.services import services

        return services(application()).registry
    from videoconf.hooks import build_registry, load_plugins

    enabled = settings()
    return build_registry(load_plugins(keys=(*enabled.providers, *enabled.storage_kinds)))


def _exists() -> bool:
    """Return whether there is an application already: that of ``flask --app …``, or one that this command has made."""
    return click.get_current_context().find_root().obj is not None


def in_application(command: Command) -> Command:
    """Run a command in the context of the application, which the database needs."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        with application().app_context():
            return command(*args, **kwargs)

    return cast("Command", run)


of_tenant = click.option("--tenant", help="The tenant; the default tenant when absent.")
by_operator = click.option("--actor", default="operator", show_default=True, help="Who does it, for the audit trail.")


def operator(actor: str = "operator", tenant: str | None = None) -> Caller:
    """Return who acts, for the audit trail.

    :raises ConfigurationError: something forbids serving; with a wrong setting a command might act on other data.
    """
    from videoconf.api.services import configured
    from videoconf.tenancy import ActorType, Caller

    settings = configured(application()).settings  # also where the tenant is named
    return Caller(actor, tenant or settings.default_tenant, type=ActorType.OPERATOR)


def reader(tenant: str | None = None) -> Caller:
    """Return who reads a tenant's data, where nothing is changed and no trail is left."""
    from videoconf.api.services import services
    from videoconf.tenancy import ActorType, Caller

    tenant = tenant or services(application()).settings.default_tenant
    return Caller("operator", tenant, type=ActorType.OPERATOR)
