"""To which URLs events are sent: public hosts by https, and private ones that the operator names."""

import socket
from urllib.parse import urlsplit

import pytest
from cryptography.fernet import Fernet

from tests.support.forward_proxy import authority, running_proxy
from tests.support.receiver import receiver
from tests.support.service import ON_SQLITE
from tests.unit.storage.test_guard import LOOPBACK, METADATA, OTHER, PRIVATE, answers
from videoconf.api.services import services
from videoconf.errors import ValidationFailed
from videoconf.events.sender import Sender
from videoconf.settings import Secret
from videoconf.storage import EndpointGuard

MALFORMED = [
    "http://app.example.com/events",
    "ftp://app.example.com/events",
    "javascript:alert(1)",
    "//app.example.com/events",
    "app.example.com/events",
    "https://",
    "https:///events",
    "https://user:password@app.example.com/events",
    "https://app.example.com@127.0.0.1/events",
    "https://app.example.com\\@127.0.0.1/events",
    "https://app.example.com:0/events",
    "https://app.example.com:99999/events",
    "https://app.example.com/events#part",
    "https://app.example.com/ev ents",
    "https://app.example.com/\r\nHost: 127.0.0.1",
    "https://app.example.com%2f127.0.0.1/events",
    "https://exämple.com/events",
    "https://app..example.com/events",
    "https://app.example.com/" + "a" * 2048,
    "",
]


def sender(*hosts, resolve=socket.getaddrinfo, development=False):
    return Sender(EndpointGuard((*hosts, "*:*"), development=development, resolve=resolve))


@pytest.mark.parametrize("host", LOOPBACK + METADATA + PRIVATE + OTHER)
def test_post_to_a_private_address_is_refused(host):
    attempted = sender().post(f"https://{host}/events", {}, b"{}")
    assert attempted.status is None
    assert attempted.error in ("The host is not allowed, or is not a public address.", "The host name is not known.")


@pytest.mark.parametrize("url", MALFORMED)
def test_malformed_url_is_refused(url):
    with pytest.raises(ValidationFailed):
        sender().check_url(url)


def test_public_url_with_a_path_and_a_query_is_accepted():
    for url in ("https://app.example.com/events?key=a%20b", "https://app.example.com:8443", "https://8.8.8.8/x"):
        sender().check_url(url)


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "fd00::1", "::ffff:10.0.0.1"])
def test_name_of_a_private_address_is_not_connected_to(address):
    attempted = sender(resolve=answers(address)).post("https://app.example.com/events", {}, b"{}")
    assert (attempted.status, attempted.error) == (None, "The host is not allowed, or is not a public address.")
    mixed = sender(resolve=answers("93.184.216.34", address)).post("https://app.example.com/events", {}, b"{}")
    assert mixed.error == attempted.error


@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_AGAIN])
def test_name_without_an_address_fails_the_attempt(code):
    def resolve(*arguments, **options):
        raise socket.gaierror(code, "unknown")

    attempted = sender(resolve=resolve).post("https://gone.example.com/events", {}, b"{}")
    assert (attempted.status, attempted.error) == (None, "The host name is not known.")


def test_private_host_that_the_operator_names_is_allowed():
    sender("10.0.0.1").check_url("https://10.0.0.1/events")
    with pytest.raises(ValidationFailed):
        sender("10.0.0.*").check_url("https://10.0.0.1/events")
    with pytest.raises(ValidationFailed):
        sender("127.0.0.1").check_url("https://127.0.0.1/events")


@ON_SQLITE
def test_api_refuses_and_names_the_url(make_app, headers):
    from tests.support.service import service_of

    app = make_app(encryption_keys=(Secret(Fernet.generate_key().decode()),))
    api = service_of(app, headers).api
    for url in ("https://169.254.169.254/latest", "http://app.example.com/events"):
        assert api("POST", "/event-subscriptions", {"url": url}).wrong == ["url"]
    created = api("POST", "/event-subscriptions", {"url": "https://app.example.com/events"})
    assert created.status == 201, created
    changed = api("PATCH", f"/event-subscriptions/{created.json['id']}", {"url": "https://10.0.0.1/"})
    assert changed.wrong == ["url"]
    assert api("POST", "/event-subscriptions", {"url": "https://a.example.com", "types": []}).wrong != []


@ON_SQLITE
def test_forward_proxy_carries_events_to_public_names(make_app, headers, tmp_path, monkeypatch):
    from tests.support.service import service_of

    file, tls = authority(tmp_path, "receiver.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with receiver() as receiving:
        port = urlsplit(receiving.url).port
        names = ("receiver.test", "receiver.internal", "receiver")
        with running_proxy({f"{name}:443": port for name in names}, tls=tls) as proxy:
            keys = (Secret(Fernet.generate_key().decode()),)
            app = make_app(encryption_keys=keys, forward_proxy=Secret(proxy.url))
            api = service_of(app, headers).api
            ended = {}
            for name in names:
                created = api("POST", "/event-subscriptions", {"url": f"https://{name}/events"}).json
                assert api("POST", f"/event-subscriptions/{created['id']}/test").status == 202
                with app.app_context():
                    services(app).dispatcher.run()
                [delivery] = api("GET", f"/event-subscriptions/{created['id']}/deliveries").json
                [attempt] = delivery["attempts"]
                ended[name] = (delivery["status"], attempt["error"])
    refused = ("pending", "The host is not allowed, or is not a public address.")
    assert ended == {"receiver.test": ("succeeded", None), "receiver.internal": refused, "receiver": refused}
    assert proxy.asked == ["receiver.test:443"]


@ON_SQLITE
def test_subscription_needs_an_encryption_key(service):
    answer = service.api("POST", "/event-subscriptions", {"url": "https://app.example.com/events"})
    assert answer.problem == (503, "encryption_not_configured")


def test_secrets_move_to_a_new_key(make_app, headers):
    from tests.support.service import service_of

    old, new = (Secret(Fernet.generate_key().decode()) for _ in range(2))
    first = make_app(encryption_keys=(old,))
    service_of(first, headers).api("POST", "/event-subscriptions", {"url": "https://app.example.com/events"})
    both = make_app(encryption_keys=(new, old))
    with both.app_context():
        assert services(both).credentials.rotate() == 1
    alone = make_app(encryption_keys=(new,))
    with alone.app_context():
        assert services(alone).credentials.unknown_key_ids() == []
    [row] = service_of(alone, headers).api("GET", "/event-subscriptions").json
    assert service_of(alone, headers).api("POST", f"/event-subscriptions/{row['id']}/rotate-secret").status == 200
