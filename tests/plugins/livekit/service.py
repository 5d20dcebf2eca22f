"""A service with LiveKit as its default provider, the stand-in behind it, and the webhooks between the two."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

from tests.support.service import Caller, in_process
from videoconf.api.services import services
from videoconf.attendance.roster import RosterReconciler

WEBHOOKS = "https://meet.example/webhooks/livekit/session"


def environment_of(standin):
    """Give the settings of the provider, as an operator sets them."""
    return {
        "VIDEOCONF_LIVEKIT_URL": standin.url,
        "VIDEOCONF_LIVEKIT_API_KEY": standin.api_key,
        "VIDEOCONF_LIVEKIT_API_SECRET": standin.api_secret,
        "VIDEOCONF_LIVEKIT_RECORDING": "true",
    }


class StandinTime:
    """The stand-in's clock, for the service: both see one time, however it is moved."""

    def __init__(self, standin):
        self._standin = standin

    def __call__(self):
        return datetime.fromtimestamp(self._standin.clock.now(), UTC)


class LiveKitService:
    """The service as its callers and LiveKit see it."""

    def __init__(self, app, standin, headers):
        self.app, self.standin = app, standin
        self.send = in_process(app)
        self.api = Caller(self.send, headers())
        self._headers = headers
        self.provider = services(app).providers.get("livekit").plugin
        parts = services(app)
        self._rosters = RosterReconciler(parts.providers, parts.settings, parts.clock)
        standin.webhooks.urls = [WEBHOOKS]

    def caller_with(self, *args, **claims):
        return Caller(self.send, self._headers(*args, **claims))

    def join(self, link, **wish):
        """Let a participant join with a new token; return the connection's id."""
        return self.standin.join(self.api.token(link, **wish)["token"]).sid

    def post(self, url, body, headers):
        """Take a webhook; return the status, as the stand-in wants it."""
        return self.send("POST", urlsplit(url).path, body, headers).status

    def deliver(self, **how):
        """Post what is due; all of it must be accepted."""
        delivered = self.standin.deliver(self.post, **how)
        assert all(status == 200 for one in delivered for status in one.statuses), [one.statuses for one in delivered]
        return delivered

    def poll(self):
        """Run the recurring job that asks for rosters."""
        with self.app.app_context():
            self._rosters.run()
