"""Variables that carry the prefix of settings and are declared nowhere: misspellings, and what an orchestrator sets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from videoconf.configuration import PREFIX, Declared

_INJECTED = re.compile(
    r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR|START|END))*)=.*"
    r"|(\w+_)?PORT=(tcp|udp|sctp)://.*"
    r"|(\w+_)?NAME=/[\w.-]+/[\w.-]+"
    r"|(\w+_)?ENV_\w+=.*",
    re.DOTALL | re.ASCII,
)
"""What Kubernetes sets in every container for a Service whose name begins like ours, and Docker for a linked container:
no setting has such a name."""


@dataclass(frozen=True)
class Undeclared:
    """Variables of the environment that carry the prefix and are declared nowhere."""

    unknown: tuple[str, ...]
    """Misspellings."""
    injected: tuple[str, ...]
    """What Kubernetes or Docker sets for a service of that name."""


def undeclared_variables(known: Iterable[Declared]) -> Undeclared:
    """Find the variables of the environment that carry the prefix and are declared nowhere."""
    names = {row.variable for row in known}
    found: dict[bool, list[str]] = {False: [], True: []}
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in names and name.removesuffix("_FILE") not in names:
            found[_INJECTED.fullmatch(f"{name.removeprefix(PREFIX)}={os.environ[name]}") is not None].append(name)
    return Undeclared(tuple(found[False]), tuple(found[True]))
