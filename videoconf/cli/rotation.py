"""``videoconf rotate-keys``: encrypt stored secrets again with the newest key."""

from __future__ import annotations

import click

from videoconf.cli.application import application


@click.command("rotate-keys")
def rotate_keys() -> None:
    """Encrypt stored credentials with the first of VIDEOCONF_ENCRYPTION_KEYS; the others may be removed afterwards."""
    from videoconf.api.services import configured
    from videoconf.errors import EncryptionKeyUnknown, EncryptionNotConfigured

    app = application()
    credentials = configured(app).credentials
    with app.app_context():
        try:
            rotated = credentials.rotate()
        except EncryptionNotConfigured as error:
            raise click.ClickException("VIDEOCONF_ENCRYPTION_KEYS is not set, or holds no key.") from error
        except EncryptionKeyUnknown as error:
            damaged = "unknown: a row is damaged, or was moved between tenants"
            missing = ", ".join(credentials.unknown_key_ids()) or damaged
            raise click.ClickException(
                f"A key that stored credentials need is not configured (ids of the missing: {missing}). What comes"
                " before it is done; nothing was lost."
            ) from error
    click.echo(f"Encrypted with key {credentials.newest_key_id}: {rotated}. The other keys can be removed.")
