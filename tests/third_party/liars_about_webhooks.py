"""Fakes that misbehave in one way each when a webhook comes in."""

import json
from dataclasses import replace

from tests.plugins.fake.fake_kit import FakeKit
from tests.third_party.liars import LIARS as LIARS
from tests.third_party.liars import Honest, liar
from videoconf.providers import (
    EventKind,
    WebhookReply,
    WebhookRequest,
)
from videoconf_fake import webhooks


@liar("W01")
class DropsTheReason(Honest):
    def parse_webhook(self, request):
        return [replace(event, reason=None) for event in super().parse_webhook(request)]


@liar("W02")
class TidiesUpFirst(Honest):
    def verify_webhook(self, request):
        super().verify_webhook(replace(request, body=request.body.strip()))


@liar("W03")
class LetsTheUnsignedIn(Honest):
    def verify_webhook(self, request):
        if request.headers.get("webhook-signature"):
            super().verify_webhook(request)


@liar("W04")
class IgnoresTheAge(Honest):
    def verify_webhook(self, request):
        signed_at = int(request.headers["webhook-timestamp"])
        moved = request.received_at.fromtimestamp(signed_at, request.received_at.tzinfo)
        super().verify_webhook(replace(request, received_at=moved))


@liar("W05")
class KnowsOneSecret(Honest):
    def verify_webhook(self, request):
        webhooks.verify(request, self.signers[:1])


@liar("W06")
class ForgetsNoSecret(Honest):
    ever = []  # noqa: RUF012  # the lie is that instances share it

    def verify_webhook(self, request):
        self.ever.extend(self.signers)
        webhooks.verify(request, self.ever)

    def __init__(self, settings, context):
        super().__init__(settings, context)
        self.ever.extend(self.signers)


@liar("W07")
class CountsItsParsing(Honest):
    parsed = 0

    def parse_webhook(self, request):
        self.parsed += 1
        return [
            replace(event, reason=str(self.parsed)) if event.kind is EventKind.ACTIVITY else event
            for event in super().parse_webhook(request)
        ]


@liar("W08")
class TakesDeliveriesForEvents(Honest):
    def parse_webhook(self, request):
        stamp = request.headers.get("webhook-timestamp")
        return [replace(event, dedupe_key=f"{event.dedupe_key}-{stamp}") for event in super().parse_webhook(request)]


@liar("W09")
class TakesConnectionsForEvents(Honest):
    def parse_webhook(self, request):
        return [
            replace(event, dedupe_key=event.connection_id or event.dedupe_key)
            for event in super().parse_webhook(request)
        ]


@liar("W10")
class ChokesOnNews(Honest):
    def parse_webhook(self, request):
        events = super().parse_webhook(request)
        if [event.kind for event in events] == [EventKind.IGNORED]:
            raise ValueError("never heard of it")
        return events


@liar("W11")
class ShrugsAtGarbage(Honest):
    def parse_webhook(self, request):
        try:
            return super().parse_webhook(request)
        except Exception:
            return None


class Polite(Honest):
    def answer_handshake(self, request):
        said = json.loads(request.body)
        return WebhookReply(200, said["word"].encode()) if said["type"] == "hand" else None


class HandshakeKit(FakeKit):
    """With a vendor that asks for a word before it sends webhooks."""

    cls = Polite

    def handshake(self, provider):
        body = b'{"id": "evt_hand", "type": "hand", "word": "hello"}'
        asked = WebhookRequest("session", "POST", "", {}, body, provider.context.clock())
        return self.sign(provider, asked), WebhookReply(200, b"hello")


@liar("W12", HandshakeKit)
class ShakesEveryHand(Honest):
    def answer_handshake(self, request):
        return WebhookReply(200, b"hello")


@liar("W14", HandshakeKit)
class ShakesNoHand(Honest):
    """Takes a handshake for a webhook, so that the vendor never sends any."""


@liar("W13")
class StoresLessThanItHeard(Honest):
    def storable_body(self, request):
        return request.body.replace(b'"type":', b'"type": "other", "was":')
