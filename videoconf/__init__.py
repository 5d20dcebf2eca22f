"""Meetings for any product through one REST API, with any video provider.

A plugin marks its hook implementations with :data:`hookimpl`; see ``docs/tutorial/first-provider.md``. The application
itself is made by :func:`videoconf.app.create_app`, which is not imported here so that a plugin's import stays light.
"""

import pluggy

__all__ = ["__version__", "hookimpl"]

__version__ = "0.1.0"

hookimpl = pluggy.HookimplMarker("videoconf")
