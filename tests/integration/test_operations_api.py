"""Jobs and persons over HTTP, for operators and for whoever answers requests about personal data."""

import json

import pytest
from sqlalchemy import update

from tests.support.service import ON_SQLITE
from videoconf.db.transactions import write
from videoconf.jobs.models import Job
from videoconf.jobs.queue import enqueue


@pytest.fixture
def make_job(app):
    def make(**values):
        with app.app_context(), write() as session:
            made = enqueue(session, "told", {"meeting_id": 7})
            session.execute(update(Job).where(Job.id == made).values(kind="told", **values))
        return made

    return make


def test_jobs_are_listed_by_state(api, make_job):
    waiting = make_job(attempts=1, last_error="provider_timeout: no answer")
    dead = make_job(state="dead")
    assert [one["id"] for one in api("GET", "/jobs").json] == [dead, waiting]
    [listed] = api("GET", "/jobs?state=pending").json
    assert (listed["id"], listed["kind"], listed["payload"]) == (waiting, "told", {"meeting_id": 7})
    assert listed["lastError"] == "provider_timeout: no answer"
    assert json.loads(api("GET", "/jobs?state=dead").headers["X-Pagination"])["total"] == 1


def test_dead_job_is_retried_once_and_audited(api, make_job):
    dead = make_job(state="dead", attempts=20)
    assert api("POST", f"/jobs/{dead}/retry").status == 204
    [listed] = api("GET", "/jobs?state=pending").json
    assert (listed["id"], listed["attempts"]) == (dead, 0)
    assert api("POST", f"/jobs/{dead}/retry").problem == (409, "job_not_dead")
    [entry] = api("GET", "/audit?actor=tester").json
    assert (entry["action"], entry["target"]) == ("job.retried", str(dead))


@ON_SQLITE
@pytest.mark.parametrize("id", ["999999", "9223372036854775807", "9223372036854775808", "0", "-1", "x"])
def test_unknown_job_answers_404(api, id):
    assert api("POST", f"/jobs/{id}/retry").problem[0] == 404


def test_person_is_exported_and_erased(service, api):
    link = api.create()
    other = service.caller_with(tenant="other")
    elsewhere = other.create()
    for who, meeting in ((api, link), (other, elsewhere)):
        service.fake.join(who.token(meeting, attendee="ann", name="Ann")["token"])
    service.deliver()

    exported = api("GET", "/persons?attendee=ann")
    assert exported.status == 200
    [connection] = exported.json["connections"]
    assert (exported.json["attendee"], exported.json["tenant"]) == ("ann", "default")
    assert (connection["meetingLink"], connection["name"]) == (link, "Ann")

    assert api("DELETE", "/persons?attendee=ann").json["connections"] == 1
    assert api("DELETE", "/persons?attendee=ann").json["connections"] == 0
    assert [one["attendee"] for one in api.attendees(link)] == [None]
    assert [one["attendee"] for one in other.attendees(elsewhere)] == ["ann"], "another tenant's stays"
    actions = [one["action"] for one in api("GET", "/audit").json]
    assert actions[:3] == ["person.erased", "person.erased", "person.exported"]


@ON_SQLITE
@pytest.mark.needs("the fake", long=True)
def test_export_has_the_members_that_are_documented(service, api):
    link = api.create()
    connection = service.join(link, attendee="ann")
    service.fake.publish(connection)
    service.deliver()
    exported = api("GET", "/persons?attendee=ann").json
    schemas = api("GET", "/openapi.json").json["components"]["schemas"]
    assert exported.keys() == schemas["Person"]["properties"].keys()
    assert exported["connections"][0].keys() == schemas["StoredConnection"]["properties"].keys()
    assert exported["streams"][0].keys() == schemas["StoredStream"]["properties"].keys()


@ON_SQLITE
def test_person_without_an_id_answers_422(api):
    for method in ("GET", "DELETE"):
        assert api(method, "/persons").wrong == ["attendee"]
        assert api(method, "/persons?attendee=").wrong == ["attendee"]
