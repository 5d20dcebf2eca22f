"""A meeting with a participant, and the copies in a storage target."""

import pytest

from videoconf.api.services import services


@pytest.fixture
def link(service):
    """A meeting with somebody in it."""
    link = service.api.create()
    service.join(link, attendee="ann")
    service.deliver()
    return link


@pytest.fixture
def deletion(app):
    return services(app).deletion


@pytest.fixture
def stored(deletion, monkeypatch):
    """Give the copies in a storage target that is not there: their deletions, and what is raised at the next ones."""

    class Stored:
        def __init__(self):
            self.deleted = []
            self.fails = None

        def __call__(self, targets, archive):
            if self.fails:
                raise self.fails
            self.deleted.append(archive.archive_id)
            return True

    stored = Stored()
    monkeypatch.setattr("videoconf.archives.delete.delete_copies", stored)
    return stored
