"""``videoconf person``: export or erase the data of one person."""

from __future__ import annotations

import json

import click

from videoconf.cli.application import application, by_operator, in_application, of_tenant, operator


@click.group()
def person() -> None:
    """Export or erase the data of one person in all meetings of a tenant."""


@person.command(context_settings={"ignore_unknown_options": True})  # an id may begin with a dash
@click.argument("attendee")
@of_tenant
@by_operator
@in_application
def export(attendee: str, tenant: str | None, actor: str) -> None:
    """Print what is stored under a person's id, as JSON."""
    from videoconf.api.services import services

    caller = operator(actor, tenant)
    click.echo(json.dumps(services(application()).persons.export(caller, attendee), indent=2))


@person.command(context_settings={"ignore_unknown_options": True})  # an id may begin with a dash
@click.argument("attendee")
@of_tenant
@by_operator
@in_application
def erase(attendee: str, tenant: str | None, actor: str) -> None:
    """Remove a person's id and name from all that is stored. It cannot be undone."""
    from videoconf.api.services import services

    caller = operator(actor, tenant)
    erased = services(application()).persons.erase(caller, attendee)
    click.echo(f"{erased['connections']} connections are anonymous now")
    others = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in erased.items() if kind != "connections")
    click.echo(f"erased besides: {others}")
