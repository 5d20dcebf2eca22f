"""``videoconf openapi``."""

from __future__ import annotations

import click

from videoconf.cli.application import application


@click.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    from videoconf.api.openapi import openapi_json

    click.echo(openapi_json(application(with_routes=True)), nl=False)
