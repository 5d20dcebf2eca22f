"""Plugins: their hooks, how the service finds them, and what they register."""

from videoconf.hooks.enabled import Providers, enable_providers, offered_kinds
from videoconf.hooks.loader import Failure, Origin, Plugins, load_plugins
from videoconf.hooks.registry import Registered, Registry, build_registry, settings_prefix, undeclared_capabilities

__all__ = [
    "Failure",
    "Origin",
    "Plugins",
    "Providers",
    "Registered",
    "Registry",
    "build_registry",
    "enable_providers",
    "load_plugins",
    "offered_kinds",
    "settings_prefix",
    "undeclared_capabilities",
]
