"""The endpoint guard: what is refused, whoever asks and however it is written."""

import socket
import threading
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videoconf.errors import StorageEndpointRefused, StorageHostUnknown, StorageUnavailable
from videoconf.storage import EndpointGuard

LOOPBACK = [
    "127.0.0.1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "localhost.localdomain",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "0",
    "0.0.0.0",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "①②⑦.0.0.1",
    "１２７.0.0.1",
    "127。0。0。1",
    "ⓛocalhost",
]
METADATA = [
    "169.254.169.254",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
    "[fd00:42::42]",
    "[fd00:c1::a9fe:a9fe]",
    "[fd20:ce::254]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "2852039166",
    "0xA9FEA9FE",
]
PRIVATE = ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "[fc00::1]", "[fd12:3456::1]"]
OTHER = ["224.0.0.1", "255.255.255.255", "240.0.0.1", "198.18.0.1", "192.0.2.1", "[ff02::1]", "[2001:db8::1]"]
MALFORMED = [
    "http://storage.example.com",
    "file:///etc/passwd",
    "gopher://storage.example.com",
    "ftp://storage.example.com",
    "//storage.example.com",
    "storage.example.com",
    "https://",
    "https:///path",
    "https://user@storage.example.com",
    "https://user:password@storage.example.com",
    "https://storage.example.com@127.0.0.1",
    "https://storage.example.com:22",
    "https://storage.example.com:0",
    "https://storage.example.com:99999",
    "https://storage.example.com:a",
    "https://storage.example.com/path",
    "https://storage.example.com?query",
    "https://storage.example.com#fragment",
    "https://storage.example.com\\@127.0.0.1",
    "https:\\\\storage.example.com",
    "https://storage.example.com\n",
    "https://storage.example.com\x00",
    "https://storage .example.com",
    "https://storage.example.com%2f127.0.0.1",
    "https://-storage.example.com",
    "https://storage..example.com",
    "https://" + "a" * 64 + ".example.com",
    "https://" + "a." * 1000 + "example.com",
    "https://[::1",
    "https://exämple.com",
    " https://storage.example.com",
    "HTTPS:storage.example.com",
    "",
]


def answers(*addresses):
    """A resolver that gives these addresses for every name."""

    def resolve(host, port, **kwargs):
        return [(socket.AF_INET6 if ":" in one else socket.AF_INET, 1, 6, "", (one, port)) for one in addresses]

    return resolve


def connect(guard, host, port=443):
    guard.check_url(f"https://{host}" + ("" if port == 443 else f":{port}"))
    return guard.addresses(host.strip("[]"), port)


@pytest.mark.parametrize("host", LOOPBACK + METADATA + PRIVATE + OTHER)
@pytest.mark.parametrize("allowed", [(), ("*",), ("*:*",)], ids=str)
def test_only_a_public_host_is_allowed(host, allowed):
    """With everything allowed by name, the address that the system's resolver makes of a spelling is refused anyway."""
    with pytest.raises((StorageEndpointRefused, StorageHostUnknown, StorageUnavailable)) as refused:
        connect(EndpointGuard(allowed), host)
    if host.startswith(("localhost", "LOCALHOST")) and allowed:
        return
    assert refused.type is StorageEndpointRefused


@pytest.mark.parametrize("host", [host for host in LOOPBACK + METADATA + PRIVATE + OTHER if "ocal" not in host.lower()])
def test_an_address_is_refused_before_anything_is_connected_to(host):
    with pytest.raises(StorageEndpointRefused):
        EndpointGuard(("*",)).check_url(f"https://{host}")


@pytest.mark.parametrize("url", MALFORMED)
@pytest.mark.parametrize("development", [False, True])
def test_url_other_than_plain_https_is_refused(url, development):
    guard = EndpointGuard(("*", "*:*"), development=development)
    if url == "https://storage.example.com:22":
        guard = EndpointGuard(("*",), development=development)
    with pytest.raises(StorageEndpointRefused):
        guard.check_url(url)


@pytest.mark.parametrize(
    "address",
    [
        host.strip("[]")
        for host in METADATA + PRIVATE + OTHER
        if host[0] in "[12" and "%" not in host and ("." in host or ":" in host)
    ],
)
def test_a_public_name_that_means_an_address_of_ours_is_refused(address):
    guard = EndpointGuard(("*.example.com",), resolve=answers("93.184.216.34", address))
    with pytest.raises(StorageEndpointRefused):
        connect(guard, "rebound.example.com")


def test_a_public_name_gives_its_addresses_in_order():
    guard = EndpointGuard(("*.example.com",), resolve=answers("93.184.216.34", "2606:2800:21f::1", "93.184.216.34"))
    assert connect(guard, "bucket.example.com") == ["93.184.216.34", "2606:2800:21f::1"]


def test_default_guard_allows_no_host():
    with pytest.raises(StorageEndpointRefused):
        EndpointGuard(()).check_url("https://storage.example.com")


def test_pattern_allows_only_matching_hosts_at_the_usual_port():
    guard = EndpointGuard(("*.example.com", "*.example.org:9000"))
    assert guard.check_url("https://a.example.com/") == "https://a.example.com"
    assert guard.check_url("https://a.example.org:9000") == "https://a.example.org:9000"
    for url in (
        "https://example.com",
        "https://a.example.com.evil.net",
        "https://a.example.com:8443",
        "https://a.example.org",
    ):
        with pytest.raises(StorageEndpointRefused):
            guard.check_url(url)


def test_host_named_in_full_may_be_private_but_not_loopback():
    def guard(*addresses):
        return EndpointGuard(("minio.internal:9000",), resolve=answers(*addresses))

    assert connect(guard("10.1.2.3"), "minio.internal", 9000) == ["10.1.2.3"]
    for address in ("127.0.0.1", "169.254.169.254", "0.0.0.0", "::1", "::ffff:127.0.0.1"):
        with pytest.raises(StorageEndpointRefused):
            connect(guard(address), "minio.internal", 9000)


@pytest.mark.parametrize("address", ["fd00:ec2::254", "fd00:42::42", "fd00:c1::a9fe:a9fe", "fd20:ce::254"])
def test_host_named_in_full_does_not_lead_to_metadata(address):
    named = EndpointGuard(("storage.example.com",), resolve=answers(address))
    with pytest.raises(StorageEndpointRefused):
        connect(named, "storage.example.com")


def test_development_allows_only_this_machine_over_plain_http():
    guard = EndpointGuard((), development=True)
    for url in ("http://127.0.0.1:9000", "http://localhost:9000", "http://[::1]:9000", "https://127.0.0.1"):
        assert guard.check_url(url) == url
    assert guard.addresses("127.0.0.1", 9000) == ["127.0.0.1"]
    for url in ("http://10.0.0.1:9000", "http://169.254.169.254", "http://storage.example.com", "http://2130706433"):
        with pytest.raises(StorageEndpointRefused):
            guard.check_url(url)


def test_public_name_of_a_private_host_fails_in_development():
    guard = EndpointGuard(("*.example.com",), development=True, resolve=answers("169.254.169.254"))
    with pytest.raises(StorageEndpointRefused):
        connect(guard, "a.example.com")


def test_unknown_name_differs_from_an_unreachable_resolver():
    def failing(*arguments):
        def fail(*args, **kwargs):
            raise socket.gaierror(*arguments)

        return fail

    for resolve, expected in (
        (failing("no such name"), StorageUnavailable),
        (failing(socket.EAI_AGAIN, "try again"), StorageUnavailable),
        (failing(socket.EAI_NONAME, "no such name"), StorageHostUnknown),
        (answers(), StorageHostUnknown),
    ):
        with pytest.raises(expected):
            EndpointGuard(("*",), resolve=resolve).addresses("absent.example.com", 443)


@given(st.text(max_size=80))
def test_any_string_is_a_checked_url_or_refused(text):
    guard = EndpointGuard(("*",), resolve=answers("93.184.216.34"))
    for url in (text, f"https://{text}", f"https://a.example.com{text}"):
        try:
            checked = guard.check_url(url)
        except StorageEndpointRefused:
            continue
        assert checked.startswith("https://")
        assert checked.isascii()


@given(st.ip_addresses())
def test_an_address_is_allowed_only_if_it_is_public(address):
    guard = EndpointGuard(("*",), resolve=answers(str(address)))
    try:
        guard.addresses("name.example.com", 443)
    except StorageEndpointRefused:
        return
    assert address.is_global


def test_connection_goes_only_to_the_checked_address():
    """A listener on this machine sees nothing, though the name means it as soon as it was checked."""
    import urllib3

    from videoconf.storage import guarded_pool

    seen = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.2)
        port = listener.getsockname()[1]

        def accept():
            with suppress(TimeoutError):
                seen.append(listener.accept())

        thread = threading.Thread(target=accept)
        thread.start()
        guard = EndpointGuard(("*:*",))
        for host in ("127.0.0.1", "localhost", "127.1", "0"):
            pool = guarded_pool(urllib3.HTTPConnectionPool, guard)(host, port, retries=False, timeout=1)
            with pytest.raises((StorageEndpointRefused, StorageUnavailable)):
                pool.request("GET", "/")
            pool.close()
        thread.join()
    assert seen == []


def test_a_guarded_connection_keeps_its_name(httpserver):
    import urllib3

    from videoconf.storage import guarded_pool

    httpserver.expect_request("/").respond_with_data("ok")
    guard = EndpointGuard((), development=True, resolve=answers("127.0.0.1"))
    pool = guarded_pool(urllib3.HTTPConnectionPool, guard)("localhost", httpserver.port, retries=False, timeout=5)
    assert pool.request("GET", "/").data == b"ok"
    assert httpserver.log[0][0].headers["Host"] == f"localhost:{httpserver.port}"
    pool.close()


@pytest.mark.parametrize(
    "address",
    [
        "::ffff:0:a9fe:a9fe",
        "64:ff9b:1:a9fe:a9:fe00:808:808",
        "64:ff9b:2::a9fe:a9fe",
        "100::1",
        "100:0:0:1::1",
        "1fff::1",
        "4000::1",
        "5f00::1",
        "fec0::1",
        "2001::1",
        "2001:db8::1",
        "3fff::1",
        "2002:a9fe:a9fe::1",
        "::808:808",
    ],
)
def test_ipv6_address_outside_global_unicast_is_refused(address):
    with pytest.raises(StorageEndpointRefused):
        connect(EndpointGuard(("*",), resolve=answers(address)), "storage.example.com")


@pytest.mark.parametrize("address", ["2600:1f18::1", "2a00:1450:4001::1", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_public_ipv6_address_is_allowed(address):
    assert connect(EndpointGuard(("*",), resolve=answers(address)), "storage.example.com") == [address]


def test_named_host_may_have_a_private_ipv6_address():
    named = EndpointGuard(("storage.example.com",), resolve=answers("fd12:3456::1"))
    assert connect(named, "storage.example.com") == ["fd12:3456::1"]
    for address in ("fe80::1", "64:ff9b:2::a9fe:a9fe", "::ffff:0:a9fe:a9fe", "fec0::1"):
        with pytest.raises(StorageEndpointRefused):
            connect(EndpointGuard(("storage.example.com",), resolve=answers(address)), "storage.example.com")
