"""The error of a configuration that cannot work."""

from __future__ import annotations

from collections.abc import Sequence

import click


class ConfigurationError(click.ClickException):
    """What is configured cannot work. Raised at start-up with every fault at once, each with its remedy.

    Deliberately not a :class:`VideoconfError`: nothing that answers requests may catch it. Any command that meets it,
    one of Flask's too, prints it without a trace and exits with a code that tells supervisors not to try again.
    """

    exit_code = 3

    def __init__(self, faults: str | Sequence[str]) -> None:
        self.faults = [faults] if isinstance(faults, str) else list(faults)
        super().__init__("\n".join(["videoconf cannot start:", *(f"  * {fault}" for fault in self.faults)]))
