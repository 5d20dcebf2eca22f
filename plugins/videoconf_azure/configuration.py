"""The name and the credentials of a container, as ``PUT /archives/storage-target`` takes it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from marshmallow import RAISE, Schema, ValidationError, fields, post_load
from marshmallow.validate import Length, OneOf, Regexp

from videoconf.providers import Secret, setting


@dataclass(frozen=True)
class AzureSettings:
    """The service's own credentials."""

    account_name: str = setting("Account of the default tenant's storage target when it sends none.", default="")
    account_key: Secret = setting("The key that goes with it.", default=Secret(""))


ENDPOINT_SUFFIXES = ("core.windows.net", "core.chinacloudapi.cn", "core.usgovcloudapi.net", "storage.azure.net")
"""``EndpointSuffix`` of connection strings: the service's name stands before it."""

END = r"$(?!\n)"
"""The very end: ``$`` alone also matches before a last line feed."""


def _is_base64(text: str) -> None:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:  # of what is not ASCII another one than of what is not base64
        raise ValidationError("Must be base64.") from None


def _is_host(text: str) -> None:
    try:
        parts = urlsplit(f"//{text}")
        is_host = bool(parts.hostname) and parts.port != 0
    except ValueError:  # an invalid IPv6 address, or a port beyond 65535
        is_host = False
    if not is_host:
        raise ValidationError("Must be a host, with a port or without.")


class AzureConfiguration(Schema):
    """A container of a storage account."""

    class Meta:
        unknown = RAISE

    container = fields.String(
        required=True,
        validate=[
            Regexp(
                rf"^[a-z0-9](-?[a-z0-9])*{END}",
                error="Must be lower-case letters and digits, with single hyphens between them.",
            ),
            Length(min=3, max=63),
        ],
        metadata={"description": "Name of the container."},
    )
    account_name = fields.String(
        required=True,
        data_key="accountName",
        validate=Regexp(rf"^[a-z0-9]{{3,24}}{END}", error="Must be 3 to 24 lower-case letters and digits."),
    )
    account_key = fields.String(
        required=True,
        data_key="accountKey",
        validate=[
            Length(min=4, max=512),
            Regexp(
                rf"^[A-Za-z0-9+/]+={{0,2}}{END}", error="Must be letters, digits, '+' and '/', then at most two '='."
            ),
            _is_base64,
        ],
        metadata={"description": "Never shown again."},
    )
    domain = fields.String(
        load_default="blob.core.windows.net",
        validate=[
            Length(max=255),
            Regexp(rf"^[A-Za-z0-9:.\[\]-]+{END}", error="Must be letters, digits, '.', '-', ':' and brackets."),
            _is_host,
        ],
        metadata={"description": "What follows the account's name in the host; it must lead to an allowed host."},
    )

    @post_load
    def complete_domain(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Accept what portals and connection strings show: ``EndpointSuffix``, or the account's whole host."""
        domain = data["domain"].lower().removeprefix(f"{data['account_name']}.")
        data["domain"] = f"blob.{domain}" if domain in ENDPOINT_SUFFIXES else domain
        return data

    fallback = fields.String(
        load_default="none",
        validate=OneOf(["none", "provider"]),
        metadata={"description": "`provider`: an archive that cannot be uploaded stays with the provider."},
    )
