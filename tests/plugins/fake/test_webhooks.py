import base64
import dataclasses
import hmac
import json
import secrets as random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from videoconf.errors import WebhookRejected
from videoconf.providers import ArchiveRequest, EventKind, WebhookRequest
from videoconf_fake.webhooks import MAX_SIGNATURES, TOLERANCE_SECONDS, parse, sign


@pytest.fixture
def delivery(control, connection):
    return control.signed(control.list_events()[0])


@pytest.fixture
def refused(provider, clock, webhook, delivery):
    def check(received_at=None, **changes):
        with pytest.raises(WebhookRejected) as rejected:
            provider.verify_webhook(webhook(delivery, received_at or clock(), **changes))
        return rejected.value

    return check


def test_the_signature_is_the_schemes_own(delivery, secrets):
    """By the specification, not by the library that made it."""
    key = base64.b64decode(secrets[0].reveal().removeprefix("whsec_"))
    headers = delivery.headers
    signed = b".".join((headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), delivery.body))
    assert headers["webhook-signature"] == "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def test_genuine_webhook_is_accepted(provider, clock, webhook, delivery):
    provider.verify_webhook(webhook(delivery, clock()))


def test_any_flipped_byte_of_the_body_is_refused(delivery, refused):
    for place in range(len(delivery.body)):
        body = bytearray(delivery.body)
        body[place] ^= 1
        refused(body=bytes(body))
    refused(body=delivery.body + b" ")
    refused(body=b"")
    refused(body=b"\xff" + delivery.body)


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "0",
        "-1",
        "nan",
        "1e9",
        "v1",
        "v1,",
        "v1,%%%",
        "v1,AAA",
        "v1,ä",
        "\ud800",
        "x" * 100_000,
        "9" * 100_000,
        "v1,AAAA " * 12_500,
    ],
)
def test_a_header_that_is_missing_or_malformed_is_refused(refused, header, value):
    refused(headers={header: value})


def test_signature_is_accepted_in_one_format_only(delivery, refused):
    signature = delivery.headers["webhook-signature"]
    for other in (
        signature.replace("v1,", "v2,"),
        signature.replace("v1,", ""),
        signature.rstrip("="),
        signature + "=",
        signature[:8] + "!" + signature[8:],
        signature.replace(",", ", "),
    ):
        refused(headers={"webhook-signature": other})


def test_timestamp_is_accepted_in_one_format_only(delivery, refused):
    stamp = delivery.headers["webhook-timestamp"]
    for other in (f"+{stamp}", f"0{stamp}", f" {stamp}", f"{stamp}.5", f"{stamp[:3]}_{stamp[3:]}", str(int(stamp) + 1)):
        refused(headers={"webhook-timestamp": other})


def test_only_the_first_of_many_signatures_are_checked(provider, clock, webhook, delivery, refused):
    signatures = "v1,AAAA " * (MAX_SIGNATURES - 1) + delivery.headers["webhook-signature"]
    provider.verify_webhook(webhook(delivery, clock(), headers={"webhook-signature": signatures}))
    refused(headers={"webhook-signature": f"v1,AAAA {signatures}"})


def test_valid_signature_may_stand_among_others(provider, clock, webhook, delivery):
    signature = delivery.headers["webhook-signature"]
    for all_of_them in (f"v1,AAAA {signature}", f"{signature} v1a,AAAA", f"v0,x {signature} {signature}"):
        provider.verify_webhook(webhook(delivery, clock(), headers={"webhook-signature": all_of_them}))


@pytest.mark.parametrize("direction", [1, -1])
def test_freshness_depends_on_the_time_of_receipt(provider, clock, webhook, delivery, refused, direction):
    signed_at = datetime.fromtimestamp(int(clock().timestamp()), UTC)
    edge = signed_at + direction * timedelta(seconds=TOLERANCE_SECONDS)
    provider.verify_webhook(webhook(delivery, edge))
    refused(received_at=edge + direction * timedelta(milliseconds=1))
    clock.step(days=direction * 400)  # the provider's own clock has no say
    provider.verify_webhook(webhook(delivery, edge))


def test_every_attempt_has_a_new_timestamp(provider, control, clock, webhook, delivery):
    clock.step(hours=23)
    again = control.signed(control.list_events()[0])
    assert (again.event_id, again.body) == (delivery.event_id, delivery.body)
    provider.verify_webhook(webhook(again, clock()))


def test_both_secrets_verify_during_rotation(make_provider, secrets, clock, webhook):
    old, new = secrets

    def sent_by(provider):
        body = b'{"id":"e","type":"ping"}'
        headers = sign(provider.signers[0], "e", body, clock())
        return WebhookRequest("session", "POST", "http://x/", headers, body, clock())

    signed_with_old, signed_with_new = (sent_by(make_provider(webhook_secrets=(one,))) for one in (old, new))
    for both in ((old, new), (new, old)):
        provider = make_provider(webhook_secrets=both)
        provider.verify_webhook(signed_with_old)
        provider.verify_webhook(signed_with_new)
        assert sent_by(provider).headers == (signed_with_old if both[0] is old else signed_with_new).headers
    with pytest.raises(WebhookRejected):
        make_provider(webhook_secrets=(new,)).verify_webhook(signed_with_old)
    with pytest.raises(WebhookRejected):
        make_provider(webhook_secrets=(old,)).verify_webhook(signed_with_new)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    headers=st.dictionaries(
        st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]),
        st.text() | st.integers().map(str) | st.text().map("v1,{}".format),
    ),
    body=st.binary(),
)
def test_any_unsigned_webhook_is_rejected(provider, headers, body):
    request = WebhookRequest("session", "POST", "http://x/", headers, body, datetime(2025, 3, 1, tzinfo=UTC))
    with pytest.raises(WebhookRejected):
        provider.verify_webhook(request)


def test_rejections_show_no_secret(secrets, refused):
    error = refused(headers={"webhook-signature": "v1,AAAA"})
    for secret in secrets:
        assert secret.reveal().removeprefix("whsec_") not in f"{error!r}{error.__cause__!r}{error.__context__!r}"


# --- reading ---------------------------------------------------------------------------------------------------


def read(document):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return parse(WebhookRequest("session", "POST", "http://x/", {}, body, datetime(2025, 3, 1, tzinfo=UTC)))


def test_an_unknown_type_is_ignored_and_keeps_its_id():
    (event,) = read({"id": "evt_1", "type": "captions.ready", "more": [1]})
    assert (event.kind, event.dedupe_key) == (EventKind.IGNORED, "evt_1")


def test_unknown_fields_and_archive_statuses_are_accepted():
    at = "2025-03-01T13:00:00.000001+01:00"
    archive = {"id": "fa_1", "status": "melting", "created_at": at, "updated_at": at, "new": {}}
    (event,) = read({"id": "e", "type": "archive.updated", "session": "fs_1", "at": at, "archive": archive, "new": 1})
    assert (event.archive.provider_status, event.archive.status) == ("melting", None)
    assert event.at == datetime(2025, 3, 1, 12, 0, 0, 1, tzinfo=UTC)
    assert event.at.tzinfo is UTC


JOINED = {
    "id": "e",
    "type": "connection.created",
    "session": "fs_1",
    "at": "2025-03-01T12:00:00Z",
    "connection": {"id": "fc_1", "created_at": "2025-03-01T12:00:00Z"},
}
RECORDED = JOINED | {
    "type": "archive.updated",
    "archive": {"id": "fa_1", "status": "started"} | dict.fromkeys(("created_at", "updated_at"), JOINED["at"]),
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": ""},
        {"id": "e" * 201},
        {"id": None},
        {"session": 7},
        {"at": "2025-03-01T12:00:00"},
        {"at": "yesterday"},
        {"connection": {}},
        {"connection": None},
        {"connection": JOINED["connection"] | {"attendee": ["ann"]}},
        RECORDED | {"archive": RECORDED["archive"] | {"metadata": {"layout": float("nan")}}},
        RECORDED | {"archive": RECORDED["archive"] | {"size_bytes": -1}},
        RECORDED | {"archive": RECORDED["archive"] | {"size_bytes": True}},
    ],
)
def test_webhook_that_the_vendor_never_sends_is_unreadable(wrong):
    for document in (JOINED, RECORDED, JOINED | {"id": "e" * 200}):
        assert len(read(document)) == 1
    with pytest.raises((ValueError, TypeError, AttributeError)):
        read(JOINED | wrong)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = {
    "id": st.text(max_size=210),
    "type": st.sampled_from(["connection.created", "stream.updated", "session.closed", "archive.updated", "other"]),
    "session": st.just("fs_1"),
    "at": st.datetimes().map(datetime.isoformat) | st.just("2025-03-01T12:00:00Z"),
    "connection": st.fixed_dictionaries({"id": st.just("fc_1"), "created_at": st.just("2025-03-01T12:00:00Z")}),
    "archive": st.fixed_dictionaries(
        {"id": st.just("fa_1"), "status": st.just("started"), "duration_seconds": ANY_JSON, "metadata": ANY_JSON}
        | dict.fromkeys(("created_at", "updated_at"), st.just("2025-03-01T12:00:00Z"))
    ),
}


@settings(deadline=None)
@given(document=ANY_JSON | st.fixed_dictionaries({name: fields | ANY_JSON for name, fields in FIELDS.items()}))
@example(document=b"[" * 100_000)
@example(document=b'{"id":"e","type":"other","x":NaN}')
@example(document=b"\xff\xfe")
def test_reading_is_repeatable_and_gives_sound_events(document):
    try:
        events = read(document)
    except Exception as error:
        with pytest.raises(type(error)):
            read(document)
        return
    assert read(document) == events
    for event in events:
        assert 1 <= len(event.dedupe_key) <= 200
        assert event.at is None or event.at.tzinfo is UTC
        if event.kind is not EventKind.IGNORED:
            assert event.session_id
            assert event.at
        if event.archive:
            json.dumps(dict(event.archive.metadata), allow_nan=False)


def test_reading_asks_no_state_and_no_clock(provider, control, session, connection, clock, webhook):
    provider.start_archive(session, ArchiveRequest())
    requests = [webhook(control.signed(event), clock()) for event in control.list_events()]
    before = [provider.parse_webhook(request) for request in requests]
    provider.end_session(session, [])
    provider.close()
    clock.step(days=1)
    object.__setattr__(provider.context, "clock", None)
    later = [dataclasses.replace(request, received_at=clock()) for request in reversed(requests)]
    assert [provider.parse_webhook(request) for request in later] == before[::-1]


def test_library_accepts_our_signature(secrets):
    """The scheme is a shared one: another party's verifier must agree, by the wall clock it goes by."""
    now, body = datetime.now(UTC), random.token_hex().encode()
    signer = Webhook(secrets[0].reveal())
    assert signer.verify(body, sign(signer, "evt_1", body, now), json_parse=False) is None
