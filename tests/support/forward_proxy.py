"""A forward proxy for the tests: it opens tunnels (``CONNECT``) to names that nothing but itself resolves."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass
class TestProxy:
    """Where it listens, what it was asked for, and where the names lead."""

    __test__ = False

    port: int
    targets: dict[str, int]
    """By ``name:port``, the port on this machine to which a tunnel leads."""
    tls: ssl.SSLContext | None = None
    """Ends TLS inside the tunnels to port 443, so that a plain server can stand behind them."""
    user: str = ""
    """``user:password`` that it asks for."""
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.user}@127.0.0.1:{self.port}" if self.user else f"http://127.0.0.1:{self.port}"

    def serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            client.settimeout(10)
            head = b""
            while b"\r\n\r\n" not in head:
                if not (received := client.recv(4096)):
                    return
                head += received
            lines = head.decode("latin-1").split("\r\n")
            method, target, _ = lines[0].split()
            self.asked.append(target)
            expected = f"Proxy-Authorization: Basic {base64.b64encode(self.user.encode()).decode()}"
            if self.user and expected not in lines:
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            elif method != "CONNECT" or target not in self.targets:
                client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            else:
                with socket.create_connection(("127.0.0.1", self.targets[target]), 10) as server:
                    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    if self.tls is not None and target.endswith(":443"):
                        with self.tls.wrap_socket(client, server_side=True) as secure:
                            self._relay(secure, server)
                    else:
                        self._relay(client, server)

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        def back() -> None:
            with suppress(OSError):
                while received := server.recv(65536):
                    client.sendall(received)
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

        thread = threading.Thread(target=back, daemon=True)
        thread.start()
        with suppress(OSError):
            while received := client.recv(65536):
                server.sendall(received)
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@contextmanager
def running_proxy(targets: dict[str, int], *, tls: ssl.SSLContext | None = None, user: str = "") -> Iterator[TestProxy]:
    """Run a proxy; it stops listening at the end of the block."""
    listener = socket.create_server(("127.0.0.1", 0))
    proxy = TestProxy(listener.getsockname()[1], targets, tls, user)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=proxy.serve, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def authority(folder: Path, *names: str) -> tuple[Path, ssl.SSLContext]:
    """Make a certificate for these names that is its own authority; return its file, and a server's context."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, key_file = folder / "authority.pem", folder / "authority-key.pem"
    file.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key_file)
    return file, context
