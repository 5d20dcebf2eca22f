"""What a command works on, made when the command first needs it: the settings, the database, or the application.

A command starts as quickly as what it asks for can be imported. The whole application, with its routes, is for those
that serve or describe it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

if TYPE_CHECKING:
    from flask import Flask
    from flask.cli import ScriptInfo

    from videoconf.attendance.queries import Attendance
    from videoconf.settings import Settings
    from videoconf.tenancy import Caller

Command = TypeVar("Command", bound=Callable[..., Any])


def script(ctx: click.Context | None = None, create_app: Callable[[], Flask] | None = None) -> ScriptInfo:
    """Return what makes the application: that of ``flask --app …``, or for ``videoconf …`` one of our own.

    :param create_app: makes our own; by default the application without routes.
    """
    from flask.cli import ScriptInfo

    ctx = ctx or click.get_current_context()
    if (found := ctx.find_object(ScriptInfo)) is not None:
        return found
    root = ctx.find_root()
    root.obj = ScriptInfo(create_app=create_app or _without_routes)
    # Click hands the object on when it makes the context of a subcommand; this one exists already.
    ctx.obj = root.obj
    return cast("ScriptInfo", root.obj)


@contextmanager
def without_collection() -> Iterator[None]:
    """Do not collect garbage inside the block: imports create objects that stay, and searching them takes a tenth."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _create_app(*, edge: bool) -> Flask:
    with without_collection():
        # By name, as `flask --app videoconf.app` does it: commands are a layer below what wires the parts together.
        app: Flask = import_module("videoconf.app").create_app(edge=edge)
    return app


def _with_routes() -> Flask:
    return _create_app(edge=True)


def _without_routes() -> Flask:
    return _create_app(edge=False)


def application(*, with_routes: bool = False) -> Flask:
    """Return the application.

    :raises ConfigurationError: it cannot be made.
    """
    return script(create_app=_with_routes if with_routes else None).load_app()


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


def database() -> Flask:
    """Return an application that has the database, and for ``videoconf …`` nothing else.

    :raises ConfigurationError: the settings cannot be read.
    """
    if _exists():
        return application()
    with without_collection():
        from videoconf.api.database import database_only

        return database_only(settings())


def attendance() -> Attendance:
    """Return the queries about attendance, which need the database and the settings alone."""
    if _exists():
        from videoconf.api.services import services

        return services(application()).attendance
    from datetime import UTC, datetime

    from videoconf.attendance.queries import Attendance

    return Attendance(settings(), lambda: datetime.now(UTC))


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


def in_database(command: Command) -> Command:
    """Run a command where it can use the database and nothing else, so that it starts quickly."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        with database().app_context():
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


def reader(tenant: str | None = None) -> Caller:
    """Return who reads a tenant's data, where nothing is changed and no trail is left."""
    from videoconf.tenancy import ActorType, Caller

    return Caller("operator", tenant or settings().default_tenant, type=ActorType.OPERATOR)
