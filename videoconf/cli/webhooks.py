"""``videoconf webhooks``: list webhooks with their outcomes, and process one again."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from videoconf.cli.application import application, by_operator, in_application, operator
from videoconf.cli.printing import as_json, print_json, print_table
from videoconf.formats import utc_text

if TYPE_CHECKING:
    from videoconf.webhooks.queries import WebhookRecord

STATUSES = ("applied", "orphan", "ignored", "quarantined", "rejected")


@click.group()
def webhooks() -> None:
    """List webhooks by their outcome, show one, or process one again."""


@webhooks.command(name="list")
@click.option("--status", type=click.Choice(STATUSES), help="Only these; without it every stored event.")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]),
    help="Received at this time or later; UTC where it has no offset.",
)
@click.option("--meeting", metavar="LINK", help="Of this meeting.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="The newest so many.")
@as_json
@in_application
def list_(status: str | None, since: datetime | None, meeting: str | None, limit: int, as_json: bool) -> None:
    """List stored webhook events of every tenant, or with --status rejected the refused webhooks, newest first.

    Of refused webhooks the service keeps the newest 1,000 of each provider, reason and time only.
    """
    from videoconf.db.keyset import Part
    from videoconf.webhooks.queries import Wanted, list_records

    wanted = Wanted(status, _in_utc(since), meeting)
    found = list_records(None, wanted, Part(limit), without_meeting=True).items
    if as_json:
        print_json(_described(found))
        return
    columns = ("id", "received", "provider", "channel", "kind", "status", "meeting", "reason")
    print_table(columns, map(_row, found))


@webhooks.command()
@click.argument("id", type=int)
@in_application
def show(id: int) -> None:
    """Print a webhook event, and its raw body while that is kept. Secrets in the body are blanked."""
    from videoconf.webhooks.queries import get_event, redacted

    event, body = get_event(id)
    [described] = _described([event])
    for name, value in described.items():
        if value is not None:
            click.echo(f"{name}: {utc_text(value) if isinstance(value, datetime) else value}")
    click.echo()
    click.echo("The raw body was deleted." if body is None else redacted(body))


@webhooks.command()
@click.argument("id", type=int)
@by_operator
@in_application
def replay(id: int, actor: str) -> None:
    """Process a stored webhook event again, for example after an upgrade. Nothing counts twice."""
    from videoconf.api.services import configured
    from videoconf.webhooks.replay import replay as replay_event

    parts = configured(application())
    outcome = replay_event(operator(actor), parts.providers, id)
    click.echo(f"{outcome.status}{f': {outcome.reason}' if outcome.reason else ''}")


def _in_utc(time: datetime | None) -> datetime | None:
    from datetime import UTC

    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time


def _described(found: list[WebhookRecord]) -> list[dict[str, Any]]:
    from videoconf.api.webhook_events import record_values

    return [record_values(one) for one in found]


def _row(record: WebhookRecord) -> tuple[str, ...]:
    received = f"{record.received_on:%Y-%m-%d %H:%M:%SZ}"
    values = (record.provider, record.channel, record.kind, record.status, record.meeting_link, record.reason)
    return str(record.id or ""), received, *(value or "" for value in values)
