import base64
from datetime import timedelta

import pytest

from videoconf.providers import ProviderContext, Role, Secret, SessionRequest, TokenRequest, WebhookRequest
from videoconf_fake.control import FakeControl
from videoconf_fake.provider import FakeProvider

SECRETS = tuple(Secret("whsec_" + base64.b64encode(bytes([number]) * 32).decode()) for number in (1, 2))


@pytest.fixture
def make_provider(clock):
    """Makes providers of some settings, and closes them at the end."""
    made = []

    def no_client(account):
        raise AssertionError("the fake provider has no network")

    def make(**settings):
        settings = {"webhook_secrets": SECRETS, "token_secret": Secret("t" * 32), "storage_scope": "account"} | settings
        context = ProviderContext(clock=settings.pop("clock", clock), http=no_client)
        made.append(FakeProvider.create(FakeProvider.Settings(**settings), context))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture
def secrets():
    return SECRETS


def _webhook(delivery, received_at, **changes):
    """What the service receives of a delivery; None as a header's value removes it."""
    headers = {**delivery.headers, **changes.pop("headers", {})}
    fields = {
        "channel": delivery.channel,
        "method": "POST",
        "url": delivery.url,
        "headers": {name: value for name, value in headers.items() if value is not None},
        "body": delivery.body,
        "received_at": received_at,
    }
    return WebhookRequest(**{**fields, **changes})


@pytest.fixture
def webhook():
    return _webhook


@pytest.fixture
def token_for():
    def issue(provider, session, attendee="ann", **fields):
        expires_at = provider.context.clock() + timedelta(hours=1)
        request = {"role": Role.PUBLISHER, "expires_at": expires_at, "attendee": attendee}
        return provider.issue_token(session, TokenRequest(**request | fields)).token

    return issue


@pytest.fixture
def provider(make_provider):
    return make_provider()


@pytest.fixture
def control(provider):
    return FakeControl(provider)


@pytest.fixture
def session(provider):
    return provider.ensure_session(SessionRequest("meeting-1"))


@pytest.fixture
def connection(provider, control, session, token_for):
    return control.join(token_for(provider, session))


@pytest.fixture
def told(provider, control, clock):
    """Gives what the webhooks that wait say, in order, after verifying them, each once."""

    def take():
        events = []
        for queued in control.list_events(waiting=True):
            request = _webhook(control.signed(queued), clock())
            provider.verify_webhook(request)
            events += provider.parse_webhook(request)
            provider.outbox.mark_delivered(queued.event_id)
        return events

    return take
