"""A server that misbehaves on demand, and clients of it."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from videoconf.providers import GuardedClient
from videoconf.testing.faulty_server import (
    FaultyServer,
    reply,
)


@pytest.fixture
def server():
    with FaultyServer() as server:
        yield server


@pytest.fixture
def outcomes():
    return []


@pytest.fixture
def make_client(outcomes):
    with contextlib.ExitStack() as stack:

        def make(**options):
            limits = {"connect_seconds": 0.3, "between_bytes_seconds": 0.4, "attempt_seconds": 0.5}
            client = GuardedClient(provider="fake", account="key-1", observer=outcomes.append, **(limits | options))
            stack.callback(client.close)
            return client

        yield make


@pytest.fixture
def client(make_client):
    return make_client()


@pytest.fixture
def pauses(monkeypatch):
    """Pauses between attempts, noted rather than slept."""
    noted = []
    monkeypatch.setattr("videoconf.providers.http.time.sleep", noted.append)
    return noted


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1, as a file of key and certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + built.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def tls_server(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with FaultyServer(tls=context) as server:
        server.on("/x", reply(200, b"1"))
        yield server


@pytest.fixture
def trusting_client(certificate, monkeypatch, make_client):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return make_client()
