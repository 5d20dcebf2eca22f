"""The HTTP server that misbehaves on demand. It is shipped, so that plugins are tested with it too."""

from videoconf.testing.faulty_server import *  # noqa: F403
