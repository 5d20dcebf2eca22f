"""What gunicorn reads in this folder: the installed package's own settings, as ``videoconf serve`` uses them."""

from videoconf.gunicorn_config import *  # noqa: F403  # gunicorn looks for their names here
