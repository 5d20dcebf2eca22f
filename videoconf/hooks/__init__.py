"""Plugins: their hooks, how the service finds them, and what they register."""

from videoconf.hooks.enabled import Providers as Providers
from videoconf.hooks.enabled import enable_providers as enable_providers
from videoconf.hooks.loader import Failure as Failure
from videoconf.hooks.loader import Origin as Origin
from videoconf.hooks.loader import Plugins as Plugins
from videoconf.hooks.loader import load_plugins as load_plugins
from videoconf.hooks.registry import Registered as Registered
from videoconf.hooks.registry import Registry as Registry
from videoconf.hooks.registry import build_registry as build_registry
from videoconf.hooks.registry import settings_prefix as settings_prefix
from videoconf.hooks.registry import undeclared_capabilities as undeclared_capabilities
