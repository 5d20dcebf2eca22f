"""``videoconf providers``."""

from __future__ import annotations

from typing import Any

import click

from videoconf.cli.application import application, in_application
from videoconf.cli.printing import as_json, print_json, print_table


@click.command()
@as_json
@in_application
def providers(as_json: bool) -> None:
    """List installed providers, what a listed one lacks, and plugins that cannot be loaded.

    Nothing needs to be configured.
    """
    from videoconf.api.described_providers import describe_providers
    from videoconf.api.services import services
    from videoconf.hooks import build_registry, load_plugins

    parts = services(application())
    registry = build_registry(load_plugins()) if parts.registry.skipped else parts.registry
    found = describe_providers(parts, registry)
    if as_json:
        print_json(found)
        return
    columns = ("provider", "name", "enabled", "distribution", "capabilities")
    print_table(columns, [_row(item) for item in found["items"]])
    for fault in parts.providers.faults:
        click.echo(fault, err=True)
    for failure in registry.failures:
        click.echo(f"The {failure.origin} cannot be loaded: {failure.reason}", err=True)


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    enabled = "default" if item["default"] else "yes" if item["enabled"] else "no"
    can = ", ".join(item["capabilities"]["features"]) if item["capabilities"] else ""
    return item["key"], item["label"], enabled, item["distribution"], can
