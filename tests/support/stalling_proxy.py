"""A server in front of another one that can stall: it then accepts connections and requests, and never answers."""

import socket
import threading
from contextlib import suppress


class StallingProxy:
    """Forwards TCP connections to a port of this machine, in threads of its own."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._flows = threading.Event()
        self._flows.set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.accepted_while_stalled = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def stall(self) -> None:
        """Forward nothing more, on connections that are open as on new ones."""
        self._flows.clear()

    def resume(self) -> None:
        """Forward again, also what was sent meanwhile."""
        self._flows.set()

    def close(self) -> None:
        self._listener.close()
        self._flows.set()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                client, _ = self._listener.accept()
                self.accepted_while_stalled += not self._flows.is_set()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._flows.wait()
        try:
            server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        back = threading.Thread(target=self._forward, args=(server, client), daemon=True)
        back.start()
        self._forward(client, server)
        back.join()
        client.close()
        server.close()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while block := source.recv(1 << 16):
                self._flows.wait()
                sink.sendall(block)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
