"""The application for a WSGI server: ``gunicorn wsgi:app``."""

import sys

# structlog loads rich, where it is installed, to print traces in colour: 6 MB of each process, a tenth of its start.
sys.modules["rich"] = None  # type: ignore[assignment]  # None: not to be imported

from videoconf.app import create_app  # noqa: E402  # only after that
from videoconf.errors import ConfigurationError  # noqa: E402  # the same

try:
    app = create_app()
except ConfigurationError as error:
    # A trace would only hide what is to be done. 3 is gunicorn's own code for a worker that cannot start: with any
    # other it would start the worker again, for ever.
    sys.stderr.write(f"{error}\n")
    sys.exit(3)
