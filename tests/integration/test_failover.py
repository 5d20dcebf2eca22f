"""Several providers at once: who gets a meeting, what happens when the default fails, and no meeting moves later."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select, update

from tests.support.service import ON_SQLITE, service_of
from tools.vonage_standin import faults
from videoconf.api.services import services
from videoconf.db.functions import utc_in
from videoconf.db.transactions import read, write
from videoconf.errors import ProviderTimeout, ProviderUnavailable
from videoconf.idempotency import IdempotencyKey
from videoconf.jobs.models import Job
from videoconf.providers import Secret
from videoconf.testing import Scripted

pytestmark = ON_SQLITE

KEY = Secret(Fernet.generate_key().decode())


@pytest.fixture
def standin(make_vonage_standin):
    return make_vonage_standin("opentok")


@pytest.fixture
def make_service(make_app, headers, standin, monkeypatch):
    """Give a function that makes a service with Vonage as the default and the fake beside it."""

    made = []

    def make(**fake):
        variables = {
            "VIDEOCONF_VONAGE_API_KEY": standin.account,
            "VIDEOCONF_VONAGE_API_SECRET": standin.secret,
            "VIDEOCONF_VONAGE_API_URL": standin.url,
            "VIDEOCONF_VONAGE_SIGNATURE_SECRETS": "tests-sign-callbacks-with-this-secret",
            **{f"VIDEOCONF_FAKE_{name.upper()}": value for name, value in fake.items()},
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        made.append(make_app(providers=("vonage", "fake"), encryption_keys=(KEY,)))
        service = service_of(made[-1], headers)
        service.vonage = Scripted(services(made[-1]).providers.get("vonage"))
        return service

    yield make
    for app in made:
        for provider in services(app).providers:
            provider.close()


@pytest.fixture
def service(make_service):
    return make_service()


def created(service, link):
    [entry] = service.api("GET", f"/audit?meetingLink={link}").json
    assert entry["action"] == "meeting.created"
    return entry["after"]


def test_meeting_gets_the_default_or_its_named_provider(service, standin):
    first, named = service.api.create(), service.api.create(provider="fake")
    assert [service.api.read(link)["provider"] for link in (first, named)] == ["vonage", "fake"]
    assert service.api("POST", "/session", {"provider": "acme"}).wrong == ["provider"]
    assert "failedOver" not in created(service, first)
    assert len(standin.world.sessions) == len(service.fake.list_sessions()) == 1


def test_create_is_resumed_at_its_first_provider(service, standin):
    asked = []

    def ensure(request):
        asked.append(request.meeting_id)
        return service.provider.real.ensure_session(request)

    service.provider.script("ensure_session", ProviderTimeout(), ensure)
    statuses = [service.api("POST", "/session", {"provider": "fake"}, Idempotency_Key="k").status for _ in range(2)]
    assert (statuses, len(asked)) == ([504, 200], 1)
    assert standin.world.sessions == {}


def test_new_meetings_go_to_the_other_provider_in_an_outage(service, standin):
    at_vonage, at_fake = service.api.create(), service.api.create(provider="fake")
    ann = service.join(at_fake, data="ann")
    standin.__exit__(None, None, None)

    link = service.api.create()
    assert service.api.read(link)["provider"] == "fake"
    said = created(service, link)
    assert said["provider"] == "fake"
    assert said["failedOver"] == {"vonage": "provider_unavailable"}
    service.join(link, data="bob")
    service.deliver()
    assert len(service.api.attendees(link)) == 1

    assert len(service.api.attendees(at_fake)) == 1
    assert service.fake.list_connections(service.api.read(at_fake)["sessionId"])[0].connection_id == ann
    assert service.api("PATCH", f"/session/{at_fake}/end").status == 204
    assert service.api.read(at_vonage)["provider"] == "vonage", "for life"
    assert service.api.token(at_vonage)["sessionId"] == service.api.read(at_vonage)["sessionId"]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (faults.rate_limited(), "provider_rate_limited"),
        (faults.error(503), "provider_unavailable"),
        (faults.error(403), "provider_auth_failed"),
    ],
)
def test_failure_without_effect_moves_the_meeting_on(service, standin, fault, code):
    standin.faults.add("POST", "/session/create", fault)
    link = service.api.create()
    said = created(service, link)
    assert said["failedOver"] == {"vonage": code}
    assert service.api.read(link)["provider"] == "fake"
    assert standin.world.sessions == {}


def test_upload_target_is_that_of_the_chosen_provider(service, standin):
    """Vonage has one target for all tenants, the fake one for each; another tenant has set none."""
    body = {"name": "MEMORY", "area": "failover", "password": "kept-by-the-default-tenant"}
    assert service.api("PUT", "/archives/storage-target", body).status == 200
    other = service.caller_with(tenant="other")
    assert other.read(other.create())["uploadTarget"] == "MEMORY"

    standin.faults.add("POST", "/session/create", faults.rate_limited())
    meeting = other.read(other.create())
    assert (meeting["provider"], meeting["uploadTarget"]) == ("fake", None)

    standin.faults.add("POST", "/session/create", faults.rate_limited())
    meeting = service.api.read(service.api.create())
    assert (meeting["provider"], meeting["uploadTarget"]) == ("fake", "MEMORY")


@pytest.mark.parametrize(
    "fault", [faults.reset_after_processing(), faults.bad_json(), faults.error(500)], ids=["reset", "bad JSON", "500"]
)
def test_unknown_outcome_asks_no_other_provider(service, standin, fault):
    standin.faults.add("POST", "/session/create", fault)
    answer = service.api("POST", "/session")
    assert answer.status in (502, 504), answer
    assert service.fake.list_sessions() == []
    assert service.api("GET", "/session").json == []


@pytest.mark.parametrize("asked", [{"provider": "vonage"}, {"providerOptions": {"mediaMode": "routed"}}])
def test_a_provider_that_was_chosen_is_not_replaced(service, standin, asked):
    standin.faults.add("POST", "/session/create", faults.rate_limited())
    assert service.api("POST", "/session", asked).problem == (503, "provider_rate_limited")
    assert service.fake.list_sessions() == []


def test_provider_without_the_capability_is_not_asked(make_service, standin):
    service = make_service(preset="daily")  # records only on request
    standin.faults.add("POST", "/session/create", faults.rate_limited(), faults.rate_limited())
    assert service.api("POST", "/session", {"enableArchiving": True}).problem == (503, "provider_rate_limited")
    assert service.fake.list_sessions() == []
    assert service.api.read(service.api.create())["provider"] == "fake"


def test_outage_of_both_is_answered_and_leaves_no_meeting(service, standin):
    standin.__exit__(None, None, None)
    service.provider.script("ensure_session", ProviderUnavailable())
    answer = service.api("POST", "/session")
    assert answer.problem == (503, "provider_unavailable")
    assert service.api("GET", "/session").json == []


def test_request_that_lost_its_lease_moves_no_meeting(service):
    """The first request stalls past its lease, the second asks Vonage, and then Vonage fails for the first."""
    second_asked, move_on, answers = threading.Event(), threading.Event(), []

    def create():
        return service.api("POST", "/session", {}, Idempotency_Key="k")

    def answer_late(request):
        ref = service.vonage.real.ensure_session(request)
        second_asked.set()
        assert move_on.wait(10)
        return ref

    def fail_late(request):
        with write() as session:
            session.execute(update(IdempotencyKey).values(lease_until=utc_in(-1)))
        answers.append(pool.submit(create))
        assert second_asked.wait(10)
        raise ProviderUnavailable

    service.vonage.script("ensure_session", fail_late, answer_late)
    with ThreadPoolExecutor(1) as pool:
        first = create()
        move_on.set()
        second = answers[0].result()
    assert first.problem == (409, "idempotency_in_progress")
    assert second.status == 200
    assert service.api.read(second.json)["provider"] == "vonage"
    assert service.fake.list_sessions() == []


def test_meeting_of_a_removed_provider_says_so_and_ends_later(service, make_app, headers, caplog):
    link, joined = service.api.create(), {"attendee": "u-1"}
    assert created(service, link)["provider"] == "vonage"
    app = make_app(providers=("fake",), encryption_keys=(KEY,))
    without = service_of(app, headers)
    for path, body in ((f"/session/{link}/token", joined), (f"/session/{link}/archives", {})):
        answer = without.api("POST", path, body)
        assert answer.problem == (503, "provider_not_enabled")
        assert "'vonage'" in answer.json["detail"]
        assert answer.json["detail"] in caplog.text
    assert without.api("PATCH", f"/session/{link}/end").status == 204
    with app.app_context(), read() as session:
        (job,) = session.execute(select(Job).where(Job.key.is_(None))).scalars()
        assert (job.state, job.last_error.split(":")[0]) == ("pending", "provider_not_enabled")
