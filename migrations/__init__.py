"""The schema's history, installed as ``videoconf_migrations`` so that a wheel can upgrade its database too."""

import re
from pathlib import Path

FOLDER = str(Path(__file__).parent)
"""Where Alembic finds its environment, whether this is the checkout or an installed wheel."""


def revisions() -> tuple[str, ...]:
    """Return the schema revisions of this release, the newest first: the last four digits of their files' names.

    Alembic knows them, too, but takes 10 MB of a process and a quarter of its start; servers do without it.
    """
    return tuple(sorted((path.stem[-4:] for path in Path(FOLDER, "versions").glob("*_[0-9]*.py")), reverse=True))


OWN = "videoconf_version"
"""The table that holds the database's revision."""
SHARED = "alembic_version"
"""Where releases before that table wrote it, and every other program that uses Alembic does."""
READ = f"SELECT version_num FROM {OWN}"  # noqa: S608  # a name of ours
READ_BEFORE = f"SELECT version_num FROM {SHARED} WHERE (SELECT count(meeting_link) FROM meeting WHERE 1 = 0) = 0"  # noqa: S608  # names of ours
"""Reads what those releases wrote; fails where our table of meetings does not exist."""


def is_ours(revision: str | None) -> bool:
    """Return whether a revision has the form of this history's."""
    return revision is not None and re.fullmatch(r"[0-9]{4}", revision) is not None
