"""gunicorn's own messages in the service's log: one format, and no line that waits for its reader."""

from __future__ import annotations

from logging import StreamHandler
from typing import Any

from gunicorn.glogging import Logger

from videoconf.configuration import read
from videoconf.observability.logging import configure_logging
from videoconf.settings import Settings


class ServiceLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's logger, whose errors and warnings take the way of all other lines.

    Where the operator names a file for them (``--error-logfile``), they go to that file as ever.
    """

    def setup(self, cfg: Any) -> None:
        """Send messages to the service's handler. gunicorn calls it at the start and when it loads its settings."""
        super().setup(cfg)
        if cfg.errorlog != "-":
            return
        values, _ = read(Settings)  # what is wrong with them is reported by the application, when it starts
        configure_logging(values.get("log_level", "INFO"), values.get("log_format", "json"))
        for handler in list(self.error_log.handlers):
            if type(handler) is StreamHandler:  # not one of the operator's, for syslog
                self.error_log.removeHandler(handler)
        self.error_log.propagate = True
