"""A meeting with a participant, and the copies in a storage target."""

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import insert, update

from videoconf.api.services import services
from videoconf.archives.models import Archive
from videoconf.db.transactions import write
from videoconf.providers import Secret
from videoconf.storage_targets.cipher import Cipher
from videoconf.storage_targets.in_force import TargetState
from videoconf.storage_targets.models import StorageTargetRow
from videoconf.testing import Scripted

KEY = Secret(Fernet.generate_key().decode())


@pytest.fixture
def app_options():
    return {"encryption_keys": (KEY,)}


@pytest.fixture
def link(service):
    """A meeting with a participant."""
    link = service.api.create()
    service.join(link, attendee="ann")
    service.deliver()
    return link


@pytest.fixture
def deletion(app):
    return services(app).deletion


class StoredCopies:
    """Copies of archives in a storage target that is not in force any more."""

    def __init__(self, app):
        self._app, self.deleted = app, []
        with app.app_context():
            with write() as session:
                values = {"tenant": "default", "kind": "memory", "state": TargetState.REPLACED, "created_by": "tester"}
                hidden = Cipher((KEY,)).encrypt("default", {"area": "stored", "password": "memory-has-none"})
                row = insert(StorageTargetRow).values(**values, configuration=hidden, description={})
                self._row_id = session.execute(row.returning(StorageTargetRow.id)).scalar_one()
            self.target = Scripted(services(app).targets.open(self._row_id))
        self.work()

    def add(self, archive_id):
        """Let there be a copy of an archive; return its id."""
        with self._app.app_context(), write() as session:
            copies = {str(self._row_id): archive_id}
            session.execute(update(Archive).where(Archive.archive_id == archive_id).values(begun_copies=copies))
        return archive_id

    def fail(self, error):
        self.target.script("delete", error, always=True)

    def work(self):
        self.target.script("delete", self.deleted.append, always=True)


@pytest.fixture
def stored(app):
    """Give the copies in a storage target: what is deleted of them, and whether that works."""
    return StoredCopies(app)
