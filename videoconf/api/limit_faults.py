"""Find faults in the settings of rate limits and CORS."""

from __future__ import annotations

import re

from videoconf.settings import DEFAULT_ADDRESS_RATE, Settings

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


def limit_faults(settings: Settings) -> list[str]:
    """Return the limits that cannot be enforced, each with its remedy."""
    faults = []
    for name in ("cors_origins", "join_page_embedders"):
        if not all(map(_ORIGIN.fullmatch, getattr(settings, name))):
            faults.append(
                f"VIDEOCONF_{name.upper()} takes exact origins, like https://app.example.com or http://localhost:3000:"
                " small letters, no path, no trailing slash and no pattern. Name each one."
            )
    of_address = settings.rate_limit_address
    if settings.rate_limit or settings.rate_limit_storage or of_address not in ("", DEFAULT_ADDRESS_RATE):
        faults += _rate_faults(settings)
    return faults


def _rate_faults(settings: Settings) -> list[str]:
    from limits import parse_many
    from limits.storage import storage_from_string

    faults = []
    for name in ("rate_limit", "rate_limit_address"):
        if rate := getattr(settings, name):
            try:
                parse_many(rate)
            except ValueError:
                faults.append(
                    f"VIDEOCONF_{name.upper()} is not a rate. Write it like 600/minute, or like 20/second;600/minute."
                )
    if storage := settings.rate_limit_storage.reveal():
        try:
            if not storage.startswith(("redis://", "rediss://")):
                raise ValueError
            storage_from_string(storage)  # connects to nothing yet
        except Exception:  # the Redis client's, of many kinds; they may repeat a password
            faults.append("VIDEOCONF_RATE_LIMIT_STORAGE must be a URL like redis://host:6379/0. Correct or unset it.")
    return faults
