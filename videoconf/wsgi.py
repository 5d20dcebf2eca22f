"""The application for a WSGI server: ``gunicorn videoconf.wsgi:app``."""

import sys

from videoconf.app import create_app
from videoconf.errors import ConfigurationError

try:
    app = create_app()
except ConfigurationError as error:
    # A trace would only hide what is to be done. 3 is gunicorn's own code for a worker that cannot start: with any
    # other it would start the worker again, for ever.
    sys.stderr.write(f"{error}\n")
    sys.exit(3)
