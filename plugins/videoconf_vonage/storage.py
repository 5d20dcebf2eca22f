"""Where Vonage puts finished archives: the body of the storage setting of an OpenTok project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from videoconf.errors import ProviderRejected


def storage_body(kind: str, configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body for a storage kind's configuration.

    ``fallback`` is always sent: sources differ on what leaving it out means.

    :raises ProviderRejected: Vonage cannot do what the configuration says.
    """
    if configuration.get("prefix"):
        message = "Vonage puts archives at the top of the bucket and takes no prefix."
        raise ProviderRejected(message, errors={"prefix": [message]})
    if kind == "s3":
        names = {"accessKey": "access_key", "secretKey": "secret_key", "bucket": "bucket"}
        config = {name: configuration[ours] for name, ours in names.items()}
        # Vonage has no field for the region; without an endpoint it would take the oldest region's.
        config["endpoint"] = configuration.get("endpoint") or _s3_endpoint(configuration["region"])
        if sse := configuration.get("sse"):
            if sse != "AES256":
                message = "Vonage encrypts with AES256 alone. Without `sse`, the bucket's own setting holds."
                raise ProviderRejected(message, errors={"sse": [message]})
            config["sse"] = "s3"
    elif kind == "azure":
        names = {"accountName": "account_name", "accountKey": "account_key", "container": "container"}
        config = {name: configuration[ours] for name, ours in names.items()}
        if configuration.get("domain"):
            config["domain"] = configuration["domain"]
    else:
        raise ProviderRejected("Vonage puts archives into S3 or Azure alone.")
    fallback = "opentok" if configuration.get("fallback") == "provider" else "none"
    return {"type": kind, "config": config, "fallback": fallback}


def _s3_endpoint(region: str) -> str:
    return f"https://s3.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"
