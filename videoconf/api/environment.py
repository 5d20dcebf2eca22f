"""Find faults in what the environment sets besides the values of settings: storage kinds, and misspelled variables."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from videoconf.configuration import declared
from videoconf.hooks import Registry, settings_prefix
from videoconf.settings import Settings
from videoconf.spelling import proposal
from videoconf.undeclared import undeclared_variables

logger = logging.getLogger(__name__)


def environment_faults(registry: Registry, settings: Settings) -> list[str]:
    """Refuse unknown storage kinds, and misspelt variables but those of plugins that were not imported."""
    known = declared(Settings)
    for key in registry.configurable:
        known += registry.settings_of(key)
    broken = tuple(settings_prefix(failure.origin.name) for failure in registry.failures)
    not_enabled = tuple(settings_prefix(origin.name) for origin in registry.skipped)
    found = undeclared_variables(known)
    if found.injected:
        logger.warning(
            "%s ignored: Kubernetes sets them for a Service whose name begins with videoconf. Set"
            " `enableServiceLinks: false` in the pod's spec",
            ", ".join(found.injected),
        )
    faults = list(_storage_kind_faults(registry, settings.storage_kinds))
    for name in found.unknown:
        if broken and name.startswith(broken):
            logger.warning("%s belongs to a plugin that cannot be loaded and is not read", name)
        elif not name.startswith(not_enabled):
            nearest = proposal(name, (row.variable for row in known))
            faults.append(f"{name} is not a setting.{nearest} Correct its spelling, or unset it.")
    return faults


def _storage_kind_faults(registry: Registry, kinds: Sequence[str]) -> Iterator[str]:
    """Name the enabled storage kinds that are not installed. A broken one only warns: meetings work without."""
    broken = {failure.origin.name for failure in registry.failures}
    for key in kinds:
        if key not in registry.storage_targets and key not in broken:
            installed = ", ".join(sorted(registry.storage_targets)) or "none"
            yield (
                f"VIDEOCONF_STORAGE_KINDS names {key!r}, which no installed plugin brings (installed: {installed})."
                f"{proposal(key, registry.storage_targets)} Install its distribution, or take it out of the list."
            )
