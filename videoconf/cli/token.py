"""``videoconf token``: mint a bearer token."""

from __future__ import annotations

import click

from videoconf.api.permissions import Permission
from videoconf.cli.application import settings


@click.command()
@click.option(
    "--permission",
    "permissions",
    multiple=True,
    type=click.Choice([permission.value for permission in Permission]),  # of an enum, click would take the names
    help="May be repeated.",
)
@click.option("--all", "every", is_flag=True, help="Every permission.")
@click.option("--subject", default="operator", show_default=True, help="Who the bearer is, for the audit trail.")
@click.option("--tenant", help="The bearer's tenant; the default tenant when absent.")
@click.option("--role", "roles", multiple=True, help="Limits the meeting roles that the bearer may give.")
@click.option("--ttl", "ttl_seconds", type=click.IntRange(min=1), default=3600, show_default=True, help="Seconds.")
def token(
    permissions: tuple[str, ...],
    every: bool,
    subject: str,
    tenant: str | None,
    roles: tuple[str, ...],
    ttl_seconds: int,
) -> None:
    """Mint a bearer token with the first of VIDEOCONF_JWT_SECRETS."""
    from videoconf.api.keys import mint_token

    if every == bool(permissions):
        raise click.UsageError("Give one or more of --permission, or --all.")
    granted = list(Permission) if every else [Permission(permission) for permission in permissions]
    configured = settings()
    if not configured.jwt_secrets:
        raise click.ClickException("VIDEOCONF_JWT_SECRETS is not set: there is nothing to sign with.")
    click.echo(
        mint_token(
            configured,
            subject=subject,
            permissions=granted,
            tenant=tenant,
            ttl_seconds=ttl_seconds,
            meeting_roles=roles or None,
        )
    )
