"""The name and the credentials of a bucket, as ``PUT /archives/storage-target`` takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validates_schema
from marshmallow.validate import Length, OneOf, Regexp

from videoconf.providers import Secret, setting


@dataclass(frozen=True)
class S3Settings:
    """The service's own credentials."""

    access_key: str = setting("Access key of the default tenant's storage target when it sends none.", default="")
    secret_key: Secret = setting("The secret that goes with it.", default=Secret(""))


END = r"$(?!\n)"
"""The very end: ``$`` alone also matches before a last line feed."""


class S3Configuration(Schema):
    """A bucket, at AWS unless ``endpoint`` names another server."""

    class Meta:
        unknown = RAISE

    bucket = fields.String(
        required=True,
        validate=Regexp(
            # What a host or a path can hold, and no more: which names exist is the server's to say.
            rf"^[A-Za-z0-9][A-Za-z0-9._-]{{0,254}}{END}",
            error="Must be letters, digits, '.', '_' and '-', and begin with a letter or digit.",
        ),
        metadata={"description": "Name of the bucket."},
    )
    region = fields.String(
        required=True,
        validate=Regexp(
            rf"^(?![0-9]+$)(?!-)[A-Za-z0-9-]{{1,63}}(?<!-){END}",
            error="Must be letters, digits and hyphens, like eu-west-1, and neither begin nor end with a hyphen.",
        ),
        metadata={"example": "eu-west-1"},
    )
    endpoint = fields.String(
        load_default=None,
        allow_none=True,
        validate=Length(max=512),
        metadata={"description": "`https://` and the host of another server than AWS's; it must be an allowed host."},
    )
    path_style = fields.Boolean(
        data_key="pathStyle",
        load_default=None,
        allow_none=True,
        truthy={True},
        falsy={False},
        metadata={"description": "The bucket in the path and not in the host; so by default where `endpoint` is set."},
    )
    access_key = fields.String(
        required=True,
        data_key="accessKey",
        validate=Regexp(rf"^[!-~]{{3,128}}{END}", error="Must be 3 to 128 visible ASCII characters, without spaces."),
    )
    secret_key = fields.String(
        required=True,
        data_key="secretKey",
        validate=Regexp(rf"^[!-~]{{1,256}}{END}", error="Must be 1 to 256 visible ASCII characters, without spaces."),
        metadata={"description": "Never shown again."},
    )
    prefix = fields.String(
        load_default="",
        # No part begins with a dot or is empty. Not "(part/?)*", which tries the 200 characters in 2^200 ways.
        validate=[
            Regexp(
                rf"^(?![./])(?!.*/[./])[A-Za-z0-9_./-]*{END}",
                error="Must be ASCII letters, digits, '_', '-', '.' and '/'; no part is empty or begins with '.'.",
            ),
            Length(max=200),
        ],
        metadata={"description": "What the keys of all objects begin with."},
    )
    sse = fields.String(
        load_default=None,
        allow_none=True,
        validate=OneOf(["AES256", "aws:kms", "aws:kms:dsse"]),
        metadata={
            "description": "Server-side encryption that the service asks for with each object. Without it, the bucket's"
            " own setting holds."
        },
    )
    sse_kms_key_id = fields.String(
        data_key="sseKmsKeyId",
        load_default=None,
        allow_none=True,
        validate=Regexp(rf"^[!-~]{{1,2048}}{END}", error="Must be 1 to 2048 visible ASCII characters."),
        metadata={"description": "With `aws:kms`: the id or ARN of the key, if it is not the account's own."},
    )
    fallback = fields.String(
        load_default="none",
        validate=OneOf(["none", "provider"]),
        metadata={"description": "`provider`: an archive that cannot be uploaded stays with the provider."},
    )

    @validates_schema
    def check_key_has_its_method(self, data: dict[str, Any], **kwargs: Any) -> None:
        if data.get("sse_kms_key_id") and not str(data.get("sse")).startswith("aws:kms"):
            raise ValidationError("Must come with `sse`: `aws:kms` or `aws:kms:dsse`.", "sseKmsKeyId")
