"""``flask videoconf rotate-keys``: encrypt what is stored with the newest key."""

from __future__ import annotations

import click
from flask.cli import ScriptInfo

from videoconf.api.services import configured
from videoconf.errors import EncryptionKeyUnknown, EncryptionNotConfigured


@click.command("rotate-keys")
@click.pass_context
def rotate_keys(ctx: click.Context) -> None:
    """Encrypt stored credentials with the first of VIDEOCONF_ENCRYPTION_KEYS; the others may be removed afterwards."""
    app = ctx.ensure_object(ScriptInfo).load_app()
    credentials = configured(app).credentials
    with app.app_context():
        try:
            rotated = credentials.rotate()
        except EncryptionNotConfigured as error:
            raise click.ClickException("VIDEOCONF_ENCRYPTION_KEYS is not set, or holds no key.") from error
        except EncryptionKeyUnknown as error:
            missing = ", ".join(credentials.unknown_key_ids()) or "none: a row is damaged, or was moved between tenants"
            raise click.ClickException(
                f"A key that stored credentials need is not configured (ids of the missing: {missing}). What comes"
                " before it is done; nothing was lost."
            ) from error
    click.echo(f"Encrypted with key {credentials.newest_key_id}: {rotated}. The other keys can be removed.")
