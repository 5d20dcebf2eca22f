"""What tests of archives do by the API, and read from the database."""

from datetime import UTC, datetime

from sqlalchemy import select, update

from videoconf.api.services import services
from videoconf.archives.models import Archive
from videoconf.audit import AuditEntry
from videoconf.db.functions import utc_in
from videoconf.db.transactions import read, write
from videoconf.jobs.models import Job, JobState
from videoconf.providers import ArchiveStatus


def start(api, link, **wish):
    answer = api("POST", f"/session/{link}/archives", wish)
    assert answer.status == 201, answer
    return answer.json


def get(api, archive_id):
    answer = api("GET", f"/archives/{archive_id}")
    assert answer.status == 200, answer
    return answer.json


def items(api, query=""):
    answer = api("GET", f"/archives{query}")
    assert answer.status == 200, answer
    assert answer.json.keys() == {"count", "items"}
    return answer.json["items"]


def finished(service, link, **wish):
    """Record, stop and make available; return the archive's id."""
    archive_id = start(service.api, link, **wish)["id"]
    service.fake.change_archive(archive_id, ArchiveStatus.STOPPED)
    service.fake.change_archive(archive_id, ArchiveStatus.AVAILABLE)
    service.deliver()
    return archive_id


def receipt(service, stored="none"):
    """Give what the receipt of a deletion says. Some vendors delete no archive, and the service only its own copy."""
    return {
        "provider": "gone" if service.provider.capabilities.deletes_archives else "not deletable",
        "storageTarget": stored,
    }


def told_name(service, name):
    """Give what the service learns of a name by a webhook: LiveKit's recordings have none."""
    return None if service.provider.key == "livekit" else name


def metadata_of(archive):
    """Give the metadata of an archive but for the vendor's own word for its status."""
    return {name: value for name, value in archive["metaData"].items() if name != "providerStatus"}


def make_due(app):
    """Let the time come at which archives are asked about, those that are to be."""
    with app.app_context(), write() as session:
        session.execute(update(Archive).where(Archive.check_due_at.is_not(None)).values(check_due_at=utc_in(-1)))


def row_of(app, archive_id):
    with app.app_context(), read() as session:
        found = session.execute(select(Archive.__table__).where(Archive.archive_id == archive_id)).one()
        return found._asdict()


def sweep(app):
    """Run what recurs and what is due, as a worker does."""
    with app.app_context():
        jobs = services(app).jobs
        jobs.run_due()
        with write() as session:
            session.execute(update(Job).where(Job.state == JobState.PENDING).values(due_at=utc_in(-1)))
        jobs.run_due()


def audited(app, action):
    with app.app_context(), read() as session:
        return session.execute(select(AuditEntry).where(AuditEntry.action == action)).scalars().all()


def told(service, archive_id, session_id, status, **members):
    """Post a webhook about an archive that the provider need not know."""
    now = datetime.now(UTC).isoformat()
    archive = {"id": archive_id, "status": status, "created_at": now, "updated_at": now, **members}
    answer = service.post(service.made_up("archive.updated", session_id, archive=archive))
    assert answer.status == 204, answer
