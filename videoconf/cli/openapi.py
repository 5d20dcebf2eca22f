"""``videoconf openapi``."""

from __future__ import annotations

import click

from videoconf.cli.application import registry, settings


@click.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    from videoconf.api.openapi import as_json, complete_document
    from videoconf.hooks import offered_kinds

    ours = settings()
    document = complete_document(offered_kinds(registry(), ours), ours.path_prefix)
    click.echo(as_json(document), nl=False)
