"""``videoconf deliveries``: what was sent to a subscription, and sending it again."""

from __future__ import annotations

import click

from videoconf.cli.application import (
    application,
    by_operator,
    in_application,
    of_tenant,
    operator,
    reader,
)
from videoconf.cli.printing import as_json, print_json, print_table

STATUSES = ("pending", "succeeded", "failed")


@click.group()
def deliveries() -> None:
    """List the deliveries of event subscriptions, and retry them."""


@deliveries.command(name="list")
@click.argument("subscription")
@click.option("--status", type=click.Choice(STATUSES), help="Only these; else all.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="The newest so many.")
@of_tenant
@as_json
@in_application
def list_(subscription: str, status: str | None, limit: int, tenant: str | None, as_json: bool) -> None:
    """List what was sent to a subscription, newest first."""
    from videoconf.api.services import services
    from videoconf.db.keyset import Part
    from videoconf.events.wire import delivery_values

    operations = services(application()).deliveries
    found = operations.list_part(reader(tenant), subscription, status, Part(limit)).items
    described = [delivery_values(one) for one in found]
    if as_json:
        print_json(described)
        return
    rows = []
    for one in described:
        last = one["attempts"][-1] if one["attempts"] else {"status": None, "error": None}
        due = one["nextAttemptOn"]
        answer = last["error"] or last["status"] or ""
        rows.append((str(one["id"]), one["eventId"], one["type"], one["status"], due or "", str(answer)))
    print_table(("delivery", "event", "type", "status", "next attempt", "latest answer"), rows)


@deliveries.command()
@click.argument("subscription")
@click.argument("ids", nargs=-1, type=int, required=True, metavar="ID...")
@of_tenant
@by_operator
@in_application
def retry(subscription: str, ids: tuple[int, ...], tenant: str | None, actor: str) -> None:
    """Send deliveries again now, each with the `webhook-id` that it had. A worker does it."""
    from videoconf.api.services import configured

    caller, operations = operator(actor, tenant), configured(application()).deliveries
    for delivery_id in sorted(set(ids)):
        operations.retry(caller, subscription, delivery_id)
        click.echo(f"{delivery_id}: due now")
