"""The schema's history, installed as ``videoconf_migrations`` so that a wheel can upgrade its database too."""

from pathlib import Path

FOLDER = str(Path(__file__).parent)
"""Where Alembic finds its environment, whether this is the checkout or an installed wheel."""


def revisions() -> tuple[str, ...]:
    """Return the schema revisions of this release, the newest first: the last four digits of their files' names.

    Alembic knows them, too, but takes 10 MB of a process and a quarter of its start; servers do without it.
    """
    return tuple(sorted((path.stem[-4:] for path in Path(FOLDER, "versions").glob("*_[0-9]*.py")), reverse=True))
