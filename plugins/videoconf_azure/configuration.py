"""What names a container and lets one in, as ``PUT /archives/storage-target`` takes it."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from marshmallow import RAISE, Schema, ValidationError, fields
from marshmallow.validate import Length, OneOf, Regexp

from videoconf.providers import Secret, setting


@dataclass(frozen=True)
class AzureSettings:
    """The service's own credentials."""

    account_name: str = setting("Account of the default tenant's storage target when it sends none.", default="")
    account_key: Secret = setting("The key that goes with it.", default=Secret(""))


END = r"$(?!\n)"
"""The very end: ``$`` alone also matches before a last line feed."""


def _is_base64(text: str) -> None:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValidationError("Must be base64.") from None


class AzureConfiguration(Schema):
    """A container of a storage account."""

    class Meta:
        unknown = RAISE

    container = fields.String(
        required=True,
        validate=[Regexp(rf"^[a-z0-9](-?[a-z0-9])*{END}"), Length(min=3, max=63)],
        metadata={"description": "Name of the container."},
    )
    account_name = fields.String(required=True, data_key="accountName", validate=Regexp(rf"^[a-z0-9]{{3,24}}{END}"))
    account_key = fields.String(
        required=True,
        data_key="accountKey",
        validate=[Length(min=4, max=512), Regexp(rf"^[A-Za-z0-9+/]+={{0,2}}{END}"), _is_base64],
        metadata={"description": "Never shown again."},
    )
    domain = fields.String(
        load_default="blob.core.windows.net",
        validate=[Length(max=255), Regexp(rf"^[A-Za-z0-9:.\[\]-]+{END}")],
        metadata={"description": "What follows the account's name in the host; it must lead to an allowed host."},
    )
    fallback = fields.String(
        load_default="none",
        validate=OneOf(["none", "provider"]),
        metadata={"description": "`provider`: an archive that cannot be uploaded stays with the provider."},
    )
