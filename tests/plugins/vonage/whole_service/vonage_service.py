"""The whole service, the stand-in for Vonage behind it, and the callbacks between the two."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from sqlalchemy import select

from tests.support.service import Caller, in_process
from videoconf.db.transactions import read
from videoconf.webhooks.models import WebhookEvent

SIGNATURE_SECRET = secrets.token_urlsafe(32)
WEBHOOK_TOKEN = secrets.token_urlsafe(24)
PATHS = ("/webhooks/vonage/session", "/webhooks/vonage/archive")
PERSON = {"attendee": "u-7", "name": "Ada"}


class VonageService:
    """A service, the stand-in behind it, and the callbacks between the two."""

    def __init__(self, app, standin, headers):
        self.app = app
        self.standin = standin
        self.send = in_process(app)
        self.api = Caller(self.send, headers())
        self.stranger = Caller(self.send, {})

    def post(self, url, body, headers, timeout_seconds=0):
        """Take a callback; return the status, as the stand-in wants it."""
        parts = urlsplit(url)
        return self.send("POST", f"{parts.path}?{parts.query}", body, headers).status

    def deliver(self, **how):
        delivered = self.standin.deliver(post=self.post, **how)
        assert all(one.state == "delivered" for one in delivered), [one.statuses for one in delivered]
        return delivered

    def join(self, link, **wish):
        return self.standin.connect(self.api.token(link, **wish)["token"])

    def session_of(self, link):
        return self.standin.world.sessions[self.api.read(link)["sessionId"]]

    def stored(self):
        with self.app.app_context(), read() as session:
            return len(session.execute(select(WebhookEvent.id)).scalars().all())
