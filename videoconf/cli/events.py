"""``videoconf events``: print events as they happen, or forward them, signed, to a program under development."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import click

from videoconf.cli.application import in_application, of_tenant, reader

POLL_SECONDS = 0.3
AT_ONCE = 100


@click.group()
def events() -> None:
    """Follow the log of events."""


@events.command()
@click.option("--after", type=click.IntRange(0), help="Begin behind this position; by default with the next event.")
@click.option("--type", "type_", help="Only events of this type.")
@click.option("--meeting", help="Only events of this meeting, by its link.")
@click.option("--until-idle", is_flag=True, help="Stop where the log ends now.")
@of_tenant
@in_application
def tail(after: int | None, type_: str | None, meeting: str | None, until_idle: bool, tenant: str | None) -> None:
    """Print events as lines of JSON, as they are written to the log."""
    for event in _follow(tenant, after, type_, meeting, until_idle=until_idle):
        click.echo(json.dumps(event, ensure_ascii=False))


@events.command()
@click.option("--forward-to", required=True, metavar="URL", help="Where to post each event, such as your machine.")
@click.option("--secret", help="Signs the deliveries; by default one is made and printed.")
@click.option("--after", type=click.IntRange(0), help="Begin behind this position; by default with the next event.")
@click.option("--until-idle", is_flag=True, help="Stop where the log ends now.")
@of_tenant
@in_application
def listen(forward_to: str, secret: str | None, after: int | None, until_idle: bool, tenant: str | None) -> None:
    """Forward events to a URL, signed as deliveries are. Nothing is stored, and nothing is sent again.

    The command posts from the machine that it runs on, so the URL may be one of this machine.
    """
    from datetime import UTC, datetime

    import urllib3

    from videoconf.events.sender import ATTEMPT_SECONDS, HEADERS
    from videoconf.events.signing import new_secret, signed_headers
    from videoconf.events.wire import body_of

    if not forward_to.startswith(("http://", "https://")):
        raise click.UsageError("--forward-to must begin with http:// or https://.")
    secret = secret or new_secret()
    click.echo(f"Secret: {secret}", err=True)
    pool = urllib3.PoolManager(timeout=ATTEMPT_SECONDS, retries=False)
    for event in _follow(tenant, after, None, None, until_idle=until_idle):
        body = body_of(event)
        headers = {**HEADERS, **signed_headers([secret], event["id"], body, datetime.now(UTC))}
        try:
            answer = str(pool.request("POST", forward_to, body=body, headers=headers, redirect=False).status)
        except urllib3.exceptions.HTTPError as error:
            answer = type(error).__name__
        click.echo(f"{event['position']}\t{event['type']}\t{event['id']}\t{answer}")


def _follow(
    tenant: str | None, after: int | None, type: str | None, meeting: str | None, *, until_idle: bool
) -> Iterator[dict[str, Any]]:
    from videoconf.events.log import Wanted, newest_position, read_events
    from videoconf.events.wire import event_values

    caller = reader(tenant)
    position = newest_position() if after is None else after
    while True:
        found = read_events(caller, Wanted(position, type, meeting), AT_ONCE)
        yield from map(event_values, found.items)
        position = found.next
        if not found.items:
            if until_idle:
                return
            time.sleep(POLL_SECONDS)
