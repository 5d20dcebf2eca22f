"""The scenarios of webhooks: which are accepted, which are not, and that their order decides nothing."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from videoconf.providers import Provider, ProviderEvent, WebhookAuthentication, WebhookRequest
from videoconf.testing.attendance import attendances
from videoconf.testing.driven import Driven
from videoconf.testing.harness import Harness, SteppedClock, unwritten, wrong
from videoconf.testing.samples import WebhookSample, differences

LONGEST_DEDUPE_KEY = 200
UNREADABLE = (b"", b"\xff\xfe", b"null", b"[]", b"17", b'{"a":', b"{}", b"[" * 2000, b'{"id": 7, "event": {}}')


class WebhookScenarios(Driven):
    """Verification over the raw bytes, and parsing that is a pure function."""

    def test_W01_samples_say_what_they_say(self, provider: Provider) -> None:
        """Every sample is accepted and says what its file says of it; there is one for each channel."""
        samples = self._samples(ignored=False)
        missing = set(provider.capabilities.webhook_channels) - {sample.channel for sample in self.samples}
        if missing:
            unwritten(f"a webhook sample of each channel; missing: {', '.join(sorted(missing))}")
        for sample in samples:
            request = self._signed(provider, sample)
            if (refusal := _find_refusal(provider, request)) is not None:
                wrong(f"the sample {sample.name} is rejected: {refusal!r}. Look at sign() and verify_webhook()")
            _compare(sample, provider.parse_webhook(request))

    def test_W02_tampered(self, provider: Provider) -> None:
        """With one byte of the body changed, a signed webhook is rejected."""
        if provider.capabilities.webhook_authentication is not WebhookAuthentication.SIGNED:
            pytest.skip("the provider's webhooks carry no signature over the body")
        request = self._signed(provider, self._samples(ignored=False)[0])
        body = request.body
        for position in {0, len(body) // 2, len(body) - 1}:
            changed = body[:position] + bytes([body[position] ^ 1]) + body[position + 1 :]
            _demand_refusal(provider, replace(request, body=changed), f"with byte {position} of the body changed")
        _demand_refusal(provider, replace(request, body=body + b" "), "with a space after the body")

    def test_W03_unsigned(self, provider: Provider) -> None:
        """Without its headers and query, or with them emptied, a webhook is rejected."""
        self._needs_authentication(provider)
        request = self._signed(provider, self._samples(ignored=False)[0])
        bare = request.url.partition("?")[0]
        _demand_refusal(provider, replace(request, url=bare, headers={}), "without headers and query")
        empty = dict.fromkeys(request.headers, "")
        _demand_refusal(provider, replace(request, url=bare, headers=empty), "with empty headers")
        odd = dict.fromkeys(request.headers, "\x00\udcff=,;. é")
        _demand_refusal(provider, replace(request, url=bare, headers=odd), "with headers of odd characters")

    def test_W04_stale(self, provider: Provider) -> None:
        """A webhook that was signed two days ago, or will be in two days, is rejected."""
        self._needs_authentication(provider)
        if not self.webhooks_expire:
            pytest.skip("the vendor's scheme dates nothing (`webhooks_expire = False`)")
        request = self._signed(provider, self._samples(ignored=False)[0])
        for days in (2, -2):
            moved = replace(request, received_at=request.received_at + timedelta(days=days))
            _demand_refusal(
                provider, moved, f"received {abs(days)} days {'after' if days > 0 else 'before'} it was signed"
            )

    def test_W05_rotation(self, provider: Provider) -> None:
        """While a webhook secret is rotated, what either secret signed is accepted."""
        self._needs_authentication(provider)
        both, new = self._rotated(provider)
        sample = self._samples(ignored=False)[0]
        for signer, which in ((provider, "the old"), (new, "the new")):
            if _find_refusal(both, self._signed(signer, sample)) is not None:
                wrong(f"with both secrets configured, what {which} one signed is rejected")

    def test_W06_other_secret(self, provider: Provider) -> None:
        """What another secret signed is rejected, a former one's too."""
        self._needs_authentication(provider)
        _, new = self._rotated(provider)
        sample = self._samples(ignored=False)[0]
        _demand_refusal(new, self._signed(provider, sample), "signed with a secret that was removed")
        _demand_refusal(provider, self._signed(new, sample), "signed with a secret that is not configured yet")

    def test_W07_parsing_is_pure(self, provider: Provider, harness: Harness) -> None:
        """Parsing depends on the request alone: no call, no clock, no state, no change of what it is given."""
        other = type(provider).create(provider.settings, replace(harness.context, clock=SteppedClock()))
        before = harness.call_count
        for sample in self._samples(ignored=False):
            request = self._signed(provider, sample)
            kept = copy.deepcopy(request)
            first = provider.parse_webhook(request)
            later = replace(request, received_at=request.received_at + timedelta(hours=1))
            for again, how in ((request, "again"), (later, "at another time")):
                if provider.parse_webhook(again) != first:
                    wrong(f"the sample {sample.name}, parsed {how}, says something else")
            if other.parse_webhook(request) != first:
                wrong(f"the sample {sample.name} says something else to another instance")
            if request != kept:
                wrong(f"parse_webhook() changes its request (sample {sample.name})")
        if harness.call_count != before:
            wrong("parse_webhook() makes a call")

    def test_W08_dedupe_keys(self, provider: Provider) -> None:
        """An event's dedupe key is a text of 1 to 200 characters, the same for every delivery of the event."""
        for sample in self._samples(ignored=False):
            request = self._signed(provider, sample)
            events = provider.parse_webhook(request)
            for event in events:
                if not (isinstance(event.dedupe_key, str) and 1 <= len(event.dedupe_key) <= LONGEST_DEDUPE_KEY):
                    wrong(f"the dedupe key of the sample {sample.name} has not 1 to {LONGEST_DEDUPE_KEY} characters")
            delivered_again = replace(sample, received_at=sample.received_at + timedelta(seconds=90))
            again = provider.parse_webhook(self._signed(provider, delivered_again))
            if [event.dedupe_key for event in again] != [event.dedupe_key for event in events]:
                wrong(f"the sample {sample.name}, delivered again 90 s later, has another dedupe key")

    def test_W09_order_and_repetition(self, provider: Provider) -> None:
        """In any order, and each delivered any number of times, the samples give one attendance."""
        requests = [self._signed(provider, sample) for sample in self._samples(ignored=False)]
        results = list(attendances(provider, requests))
        for result in results[1:]:
            if result != results[0]:
                wrong(
                    "the order or repetition of the webhooks changes who was there. Two events of one dedupe key (the"
                    f" second is dropped), or one connection id for two connections?\n  {results[0]}\n  {result}"
                )

    def test_W10_unknown_event(self, provider: Provider) -> None:
        """An event of a kind that means nothing to us is IGNORED, never an error."""
        for sample in self._samples(ignored=True):
            try:
                events = provider.parse_webhook(self._signed(provider, sample))
            except Exception as error:
                wrong(f"the sample {sample.name}, of an unknown kind, raises {error!r}")
            _compare(sample, events)

    def test_W11_unreadable(self, provider: Provider) -> None:
        """A body that cannot be read gives a list of events or an exception, never anything else."""
        request = self._samples()[0].request(provider.key)
        for body in UNREADABLE:
            events: object = []
            try:
                with suppress(Exception):  # what cannot be read may raise anything
                    events = provider.parse_webhook(replace(request, body=body))
            except BaseException as error:
                wrong(f"the body {body[:20]!r} raises {error!r}, which would end the process")
            if not (isinstance(events, list) and all(isinstance(event, ProviderEvent) for event in events)):
                wrong(f"the body {body[:20]!r} gives {events!r}: a list of ProviderEvent, or raise")

    def test_W12_handshake(self, provider: Provider) -> None:
        """An ordinary webhook is not a handshake."""
        for sample in self._samples(ignored=False):
            if provider.answer_handshake(self._signed(provider, sample)) is not None:
                wrong(f"answer_handshake() answers the sample {sample.name}, which would never be read")

    def test_W13_stored_body(self, provider: Provider) -> None:
        """What is stored of a webhook's body says the same as the webhook."""
        for sample in self._samples(ignored=False):
            request = self._signed(provider, sample)
            stored = provider.storable_body(request)
            if not isinstance(stored, bytes):
                wrong(f"storable_body() returns {type(stored).__name__} for the sample {sample.name}: bytes are stored")
            said = [_summary(provider.parse_webhook(one)) for one in (request, replace(request, body=stored))]
            if said[0] != said[1]:
                wrong(f"what storable_body() leaves of the sample {sample.name} says something else than the webhook")

    def test_W14_handshake_is_answered(self, provider: Provider) -> None:
        """A handshake is answered as the vendor expects it; otherwise the vendor sends no webhooks."""
        if (given := self.handshake(provider)) is None:
            if type(provider).answer_handshake is not Provider.answer_handshake:
                unwritten("handshake(): return a handshake as the vendor signs it, and the answer that it expects")
            pytest.skip("the vendor sends no handshake")
        request, expected = given
        if (refusal := _find_refusal(provider, request)) is not None:
            wrong(f"a handshake is rejected: {refusal!r}")
        if (reply := provider.answer_handshake(request)) != expected:
            wrong(f"answer_handshake() returns {reply}; the vendor expects {expected}")

    # ----------------------------------------------------------------------------------------------------------------

    def _samples(self, *, ignored: bool | None = None) -> list[WebhookSample]:
        found = [sample for sample in self.samples if ignored in (None, _is_ignored(sample))]
        if not found:
            which = {True: " of a kind that means nothing to us", False: " that says something", None: ""}[ignored]
            unwritten(f"samples = load_samples(…): at least one webhook{which}, as the vendor sends it")
        return found

    def _signed(self, provider: Provider, sample: WebhookSample) -> WebhookRequest:
        return self.sign(provider, sample.request(provider.key))

    def _rotated(self, provider: Provider) -> tuple[Provider, Provider]:
        both, new = (type(provider).create(settings, provider.context) for settings in self.rotated(provider))
        return both, new

    def _needs_authentication(self, provider: Provider) -> None:
        if provider.capabilities.webhook_authentication is WebhookAuthentication.NONE:
            pytest.skip("the provider declares that nothing proves where its webhooks come from")


def _is_ignored(sample: WebhookSample) -> bool:
    return all(event.get("kind") == "ignored" for event in sample.events)


def _summary(events: Iterable[ProviderEvent]) -> list[tuple[str, str, str | None, str | None]]:
    return [(event.kind, event.dedupe_key, event.session_id, event.connection_id) for event in events]


def _compare(sample: WebhookSample, events: Iterable[ProviderEvent]) -> None:
    said = list(events)
    if len(said) != len(sample.events):
        wrong(f"the sample {sample.name} says {len(said)} things, not {len(sample.events)}")
    for expected, event in zip(sample.events, said, strict=True):
        if found := differences(expected, event):
            wrong(f"the sample {sample.name}: {'; '.join(found)}")


def _find_refusal(provider: Provider, request: WebhookRequest) -> Exception | None:
    """Verify as the core does: any exception is a refusal."""
    try:
        provider.verify_webhook(request)
    except Exception as error:
        return error
    return None


def _demand_refusal(provider: Provider, request: WebhookRequest, how: str) -> None:
    if _find_refusal(provider, request) is None:
        wrong(f"a webhook {how} is accepted")
