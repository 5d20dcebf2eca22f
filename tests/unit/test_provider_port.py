"""What leaves a provider's port: an error of the taxonomy, or a checked value."""

import asyncio
import signal
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from types import SimpleNamespace

import pytest

from videoconf.errors import (
    CapabilityUnsupported,
    ProviderBadResponse,
    ProviderPluginError,
    ProviderUnavailable,
    WebhookRejected,
)
from videoconf.providers import (
    ArchiveState,
    ArchiveStatus,
    Capabilities,
    Capability,
    EventKind,
    JoinToken,
    ProviderEvent,
    ProviderPort,
    Roster,
    RosterConnection,
    SessionRef,
    WebhookReply,
    WebhookRequest,
    seconds_left,
)
from videoconf.providers.port import MOST_LISTED
from videoconf.storage import SignedUrl
from videoconf.testing import Scripted

REF = SessionRef("account", "session")
NOW = datetime(2026, 11, 30, tzinfo=UTC)
WEBHOOK = WebhookRequest("session", "POST", "https://meet.example.com/webhooks/acme/session", {}, b"body", NOW)
GOOD = ArchiveState(archive_id="good", session_id="s", provider_status="available", status=ArchiveStatus.AVAILABLE)

CALLS = {
    "ensure_session": (None,),
    "end_session": (REF, ()),
    "issue_token": (REF, None),
    "list_connections": (REF,),
    "disconnect": (REF, "c"),
    "mute": (REF, None, {}),
    "check": (),
    "start_archive": (REF, None),
    "stop_archive": (REF, "a"),
    "get_archive": ("a",),
    "list_archives": (REF,),
    "delete_archive": ("a",),
    "archive_url": ("a",),
    "open_archive": ("a",),
    "apply_storage": ("memory", {}),
    "clear_storage": (),
}
NEEDS = {
    Capability.ROSTER: {"list_connections"},
    Capability.MODERATION: {"disconnect", "mute"},
    Capability.ARCHIVING: {"start_archive", "stop_archive", "get_archive", "list_archives", "delete_archive"},
    Capability.ARCHIVE_DOWNLOADS: {"archive_url", "open_archive"},
    Capability.STORES_ARCHIVES: {"apply_storage", "clear_storage"},
}


class OwnError(BaseException):
    """A plugin's own."""


RAISED = [
    RuntimeError("a bug"),
    SystemExit(1),
    KeyboardInterrupt(),
    GeneratorExit(),
    StopIteration(),
    asyncio.CancelledError(),
    OwnError(),
]


def port_of(*features, **methods):
    """Make a port to a plugin that has these methods; with no features it has all of them."""
    capabilities = Capabilities(features=frozenset(features or Capability))
    identity = {"key": "acme", "label": "Acme", "account": "account", "options_schema": None}
    return ProviderPort(SimpleNamespace(**identity, capabilities=capabilities, **methods))


def failing(error):
    def fail(*args):
        raise error

    return fail


def returning(value):
    return lambda *args: value


def in_thread(call):
    """Call in a thread, as a server does; return what came of it."""
    results = []

    def run():
        try:
            results.append(call())
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("error", RAISED, ids=repr)
def test_port_contains_any_error_of_a_method(method, error):
    port = port_of(**{method: failing(error)})
    result = in_thread(lambda: getattr(port, method)(*CALLS[method]))
    assert isinstance(result, ProviderPluginError)
    assert result.__cause__ is error


@pytest.mark.parametrize("method", CALLS)
def test_errors_of_the_taxonomy_pass(method):
    error = ProviderUnavailable()
    assert in_thread(lambda: getattr(port_of(**{method: failing(error)}), method)(*CALLS[method])) is error


@pytest.mark.parametrize("method", CALLS)
def test_every_call_has_a_deadline(method):
    def look(*args):
        seen.append(seconds_left())
        raise ProviderUnavailable

    seen = []
    in_thread(lambda: getattr(port_of(**{method: look}), method)(*CALLS[method]))
    assert seen
    assert seen[0] < 10.0


@pytest.mark.parametrize(("capability", "method"), [(one, method) for one in NEEDS for method in sorted(NEEDS[one])])
def test_missing_capability_is_refused_before_any_call(capability, method):
    def never(*args):
        raise AssertionError("the plugin was called")

    port = port_of(*(set(Capability) - {capability}), **{method: never})
    with pytest.raises(CapabilityUnsupported, match=capability.value):
        getattr(port, method)(*CALLS[method])


# --- signals --------------------------------------------------------------------------------------------------------


@contextmanager
def handled(number, handler):
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("method", ["check", "verify_webhook", "parse_webhook", "answer_handshake", "close"])
def test_ctrl_c_during_a_call_passes(method):
    port = port_of(**{method: lambda *args: signal.raise_signal(signal.SIGINT)})
    with handled(signal.SIGINT, signal.default_int_handler), pytest.raises(KeyboardInterrupt):
        getattr(port, method)(*([] if method in ("check", "close") else [WEBHOOK]))


def test_exception_of_a_signal_handler_passes():
    def handler(number, frame):
        raise OwnError

    with handled(signal.SIGUSR1, handler), pytest.raises(OwnError):
        port_of(check=lambda: signal.raise_signal(signal.SIGUSR1)).check()


def test_keyboard_interrupt_of_a_plugin_is_contained_in_a_server():
    with handled(signal.SIGINT, lambda number, frame: None), pytest.raises(ProviderPluginError):
        port_of(check=failing(KeyboardInterrupt())).check()


def test_base_exception_of_a_plugin_is_contained():
    with pytest.raises(ProviderPluginError):
        port_of(check=failing(OwnError())).check()


# --- webhooks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [*RAISED, ProviderUnavailable()], ids=repr)
def test_any_error_of_a_verifier_refuses_the_webhook(error):
    result = in_thread(lambda: port_of(verify_webhook=failing(error)).verify_webhook(WEBHOOK))
    assert isinstance(result, WebhookRejected)


@pytest.mark.parametrize("error", [*RAISED, ProviderUnavailable()], ids=repr)
def test_webhook_that_cannot_be_parsed_is_one_placeholder(error):
    [event] = in_thread(lambda: port_of(parse_webhook=failing(error)).parse_webhook(WEBHOOK))
    assert (event.kind, event.dedupe_key.split(":")[0]) == (EventKind.IGNORED, "unreadable")


@pytest.mark.parametrize(
    "bad", [None, {}, ProviderEvent(EventKind.JOINED, ""), ProviderEvent(EventKind.LEFT, "x" * 201)]
)
def test_unreadable_event_hides_no_other(bad):
    good = ProviderEvent(EventKind.JOINED, "key", "s", "c", name="a\x00")
    events = port_of(parse_webhook=returning([bad, good, bad])).parse_webhook(WEBHOOK)
    assert [event.dedupe_key.split(":")[0] for event in events] == ["unreadable", "key", "unreadable"]
    assert events[0].dedupe_key != events[2].dedupe_key
    assert events[1].name == "a\ufffd"


@pytest.mark.parametrize("error", RAISED, ids=repr)
def test_handshake_that_raises_is_contained(error):
    result = in_thread(lambda: port_of(answer_handshake=failing(error)).answer_handshake(WEBHOOK))
    assert isinstance(result, ProviderPluginError)


def test_handshake_is_a_reply_or_none():
    reply = WebhookReply(200, b"echo")
    assert port_of(answer_handshake=returning(reply)).answer_handshake(WEBHOOK) == reply
    assert port_of(answer_handshake=returning(None)).answer_handshake(WEBHOOK) is None
    with pytest.raises(ProviderPluginError):
        port_of(answer_handshake=returning("echo")).answer_handshake(WEBHOOK)


@pytest.mark.parametrize(
    "reply",
    [
        WebhookReply(0),
        WebhookReply(302),
        WebhookReply(500),
        WebhookReply("200 OK\r\nX-Admin: yes"),
        WebhookReply(200, "text"),
        WebhookReply(200, b"x" * (64 * 1024 + 1)),
        WebhookReply(200, b"", content_type="text/plain\r\nX-Admin: yes"),
    ],
    ids=range(7),
)
def test_handshake_that_cannot_be_sent_is_the_plugins_fault(reply):
    with pytest.raises(ProviderPluginError):
        port_of(answer_handshake=returning(reply)).answer_handshake(WEBHOOK)


# --- values ---------------------------------------------------------------------------------------------------------

WRONG_TYPES = {
    "ensure_session": "session",
    "issue_token": "token",
    "list_connections": [],
    "archive_url": "https://acme.example.com",
    "list_archives": None,
}


@pytest.mark.parametrize("method", WRONG_TYPES)
def test_value_of_another_type_is_the_plugins_fault(method):
    with pytest.raises(ProviderPluginError):
        getattr(port_of(**{method: returning(WRONG_TYPES[method])}), method)(*CALLS[method])


class RunsCode(dict):
    """A value whose parts are made when they are read."""

    def items(self):
        raise SystemExit


def nested(depth):
    value = {}
    for _ in range(depth):
        value = {"x": value}
    return value


UNUSABLE = [
    ("ensure_session", SessionRef("account", "")),
    ("ensure_session", SessionRef("account", "two words")),
    ("ensure_session", SessionRef("account", "x" * 256)),
    ("ensure_session", SessionRef(7, "session")),
    ("issue_token", JoinToken(7, NOW)),
    ("issue_token", JoinToken("t", NOW.replace(tzinfo=None))),
    ("issue_token", JoinToken("t", NOW, connect=None)),
    ("archive_url", SignedUrl(None, NOW)),
    ("archive_url", SignedUrl("https://acme.example.com", NOW.replace(tzinfo=None))),
    *(
        ("archive_url", SignedUrl(url, NOW))
        for url in (
            "",
            "javascript:alert(1)",
            "javascript://acme.example.com/%0aalert(1)",
            "data:text/html,x",
            "http://acme.example.com/a",
            "ftp://acme.example.com/a",
            "//acme.example.com/a",
            "https:///a",
            "https://user:word@acme.example.com/a",
            "https://acme.example.com/a\r\nSet-Cookie: a=b",
            "https://acme.example.com/a b",
            "https://acme.example.com\\@evil.example/",
            "https://acme.example.com:port/a",
            "https://acme.example.com/" + "a" * 8192,
        )
    ),
    *(
        ("issue_token", JoinToken("t", NOW, connect={"url": url}))
        for url in ("javascript://acme.example.com/%0aalert(1)", "data:text/html,x", "wss://a\r\nb", 7, "")
    ),
    ("issue_token", JoinToken("t", NOW, connect={"room": "a\r\nb"})),
    ("issue_token", JoinToken("t\r\nSet-Cookie: a=b", NOW)),
    ("issue_token", JoinToken("\ud800", NOW)),
    ("issue_token", JoinToken("t" * (64 * 1024 + 1), NOW)),
    ("issue_token", JoinToken("t", datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))))),
    ("issue_token", JoinToken("t", None)),
    *(
        ("issue_token", JoinToken("t", NOW, connect=connect))
        for connect in (
            {"x": object()},
            {"x": b"bytes"},
            {"x": float("nan")},
            {"x": {1: 2}},
            {"x": ["\ud800"]},
            {"inner": {"url": "javascript:alert(1)"}},
            RunsCode(x=1),
            nested(1000),
            {"x": [0] * 20_000},
        )
    ),
    ("archive_url", SignedUrl("https://acme.example.com/", datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))))),
]


@pytest.mark.parametrize(
    "url", ["https://acme.example.com/a?b=c%20d&e=%F0", "http://127.0.0.1:8080/a", "https://[::1]/"]
)
def test_url_that_may_be_fetched_is_returned(url):
    assert port_of(archive_url=returning(SignedUrl(url, NOW))).archive_url("a").url == url


@pytest.mark.parametrize("url", ["wss://acme.example.com/", "ws://janus:8188", "https://acme.example.com/j?x=1"])
def test_url_to_join_by_is_returned(url):
    connect = {"url": url, "iceServers": [], "apiKey": "1"}
    assert (
        port_of(issue_token=returning(JoinToken("t", NOW, connect=connect))).issue_token(REF, None).connect == connect
    )


@pytest.mark.parametrize(("method", "value"), UNUSABLE)
def test_value_that_cannot_be_used_is_a_bad_response(method, value):
    with pytest.raises(ProviderBadResponse):
        getattr(port_of(**{method: returning(value)}), method)(*CALLS[method])


BAD = [
    ArchiveState(archive_id="x" * 256, session_id="s", provider_status="available", status=ArchiveStatus.AVAILABLE),
    ArchiveState(archive_id="", session_id="s", provider_status="available", status=ArchiveStatus.AVAILABLE),
    None,
    {"id": "bad"},
]


@pytest.mark.parametrize("bad", BAD, ids=["a long id", "no id", "none", "a dictionary"])
def test_archive_that_cannot_be_used_hides_no_other(bad):
    said = port_of(list_archives=returning(iter([bad, GOOD, bad]))).list_archives(REF)
    assert [archive.archive_id for archive in said] == ["good"]


@pytest.mark.parametrize("method", ["start_archive", "stop_archive", "get_archive"])
@pytest.mark.parametrize("bad", BAD, ids=["a long id", "no id", "none", "a dictionary"])
def test_archive_that_cannot_be_used_is_a_bad_response(method, bad):
    with pytest.raises(ProviderBadResponse):
        getattr(port_of(**{method: returning(bad)}), method)(*CALLS[method])


def test_roster_is_cleaned():
    kept = RosterConnection("c", "a\x00", "n" * 300, NOW)
    naive = RosterConnection("d", "ann", connected_at=NOW.replace(tzinfo=None))
    unusable = [None, RosterConnection(""), RosterConnection("x" * 256), RosterConnection(7)]
    roster = port_of(list_connections=returning(Roster([*unusable, kept, naive], True))).list_connections(REF)
    assert roster.connections == [RosterConnection("c", "a\ufffd", "n" * 255, NOW), RosterConnection("d")]
    assert roster.complete


def test_roster_without_end_is_bounded_and_incomplete():
    endless = (RosterConnection(f"c-{number}") for number in count())
    roster = port_of(list_connections=returning(Roster(endless, True))).list_connections(REF)
    assert (len(roster.connections), roster.complete) == (MOST_LISTED, False)


@pytest.mark.parametrize("chunk", [None, "text", b"longer than was asked for"])
def test_stream_that_gives_no_chunk_is_the_plugins_fault(chunk):
    stream = port_of(open_archive=returning(SimpleNamespace(read=returning(chunk)))).open_archive("a")
    with pytest.raises(ProviderPluginError):
        stream.read(4)


@pytest.mark.parametrize("error", RAISED, ids=repr)
def test_stream_contains_errors_of_reading_and_closing(error):
    body = SimpleNamespace(read=failing(error), close=failing(error))
    stream = port_of(open_archive=returning(body)).open_archive("a")
    assert isinstance(in_thread(lambda: stream.read(1)), ProviderPluginError)
    assert isinstance(in_thread(stream.close), ProviderPluginError)
    assert stream.closed


def test_closing_raises_nothing(caplog):
    port_of(close=failing(OwnError())).close()
    assert "fake" not in caplog.text
    assert "acme.close" in caplog.text


# --- a scripted plugin ----------------------------------------------------------------------------------------------


def test_script_decides_the_next_calls_and_no_others():
    port = port_of(ensure_session=returning(REF))
    plugin = Scripted(port)
    scripted = SessionRef("account", "scripted")
    plugin.script("ensure_session", ProviderUnavailable(), scripted, lambda request: SessionRef("account", request))
    with pytest.raises(ProviderUnavailable):
        port.ensure_session(None)
    assert port.ensure_session(None) is scripted
    assert port.ensure_session("asked").session_id == "asked"
    assert port.ensure_session(None) is REF


def test_script_lasts_until_it_is_replaced():
    port = port_of(check=returning(None))
    plugin = Scripted(port)
    plugin.script("check", ProviderUnavailable(), always=True)
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            port.check()
    plugin.script("check")
    port.check()


def test_unknown_method_cannot_be_scripted():
    with pytest.raises(AttributeError):
        Scripted(port_of()).script("chek", ProviderUnavailable())


def test_scripted_plugin_has_the_attributes_of_the_real_one():
    port = port_of(check=returning(None))
    real = port.plugin
    plugin = Scripted(port)
    plugin.state = "set"
    assert (real.state, plugin.state, plugin.real) == ("set", "set", real)
    assert isinstance(plugin, SimpleNamespace)
    del plugin.state
    assert not hasattr(real, "state")


class Vicious:
    """A value whose parts raise."""

    def __bool__(self):
        raise SystemExit(1)

    __str__ = __bool__


@pytest.mark.parametrize(
    ("method", "arguments", "value"),
    [
        ("hides_attendee", ("c",), Vicious()),
        ("cautions", (), [Vicious()]),
        ("list_connections", (REF,), Roster([], Vicious())),
    ],
)
def test_value_that_raises_when_it_is_read_is_contained(method, arguments, value):
    with pytest.raises(ProviderPluginError):
        getattr(port_of(**{method: returning(value)}), method)(*arguments)
