"""The application that a command works on, made when the command first needs it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

if TYPE_CHECKING:
    from flask import Flask
    from flask.cli import ScriptInfo

    from videoconf.tenancy import Caller

Command = TypeVar("Command", bound=Callable[..., Any])


def script(ctx: click.Context | None = None) -> ScriptInfo:
    """Return what makes the application: that of ``flask --app …``, or for ``videoconf …`` one of our own."""
    from flask.cli import ScriptInfo

    ctx = ctx or click.get_current_context()
    if (found := ctx.find_object(ScriptInfo)) is not None:
        return found
    root = ctx.find_root()
    root.obj = ScriptInfo(create_app=_create_app)
    # Click hands the object on when it makes the context of a subcommand; this one exists already.
    ctx.obj = root.obj
    return cast("ScriptInfo", root.obj)


def _create_app() -> Flask:
    # By name, as `flask --app videoconf.app` does it: commands are a layer below what wires the parts together.
    app: Flask = import_module("videoconf.app").create_app()
    return app


def application() -> Flask:
    """Return the application.

    :raises ConfigurationError: it cannot be made.
    """
    return script().load_app()


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

    tenant = tenant or configured(application()).settings.default_tenant
    return Caller(actor, tenant, type=ActorType.OPERATOR)
