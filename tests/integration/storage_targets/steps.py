"""A storage target in memory, and the rows that keep it."""

from cryptography.fernet import Fernet
from sqlalchemy import select

from videoconf.db.transactions import read
from videoconf.providers import Secret
from videoconf.storage_targets.models import StorageTargetRow

KEYS = tuple(Secret(Fernet.generate_key().decode()) for _ in range(2))
CANARY = "canary-correct-horse"
PATH = "/archives/storage-target"


def target(area="bucket", **members):
    return {"name": "MEMORY", "area": area, "password": CANARY, **members}


def rows(app):
    with app.app_context(), read() as session:
        statement = select(StorageTargetRow).order_by(StorageTargetRow.id)
        return list(session.execute(statement).scalars())


def states(app):
    return [row.state for row in rows(app)]
