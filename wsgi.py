"""The application for a WSGI server: ``gunicorn wsgi:app``. It is the installed package's own."""

from videoconf.wsgi import app

__all__ = ["app"]
