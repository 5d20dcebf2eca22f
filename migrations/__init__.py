"""The schema's history, installed as ``videoconf_migrations`` so that a wheel can upgrade its database too."""

from pathlib import Path

FOLDER = str(Path(__file__).parent)
"""Where Alembic finds its environment, whether this is the checkout or an installed wheel."""
