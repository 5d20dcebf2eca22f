"""What the settings for gunicorn do to its listeners."""

import socket
from contextlib import closing
from types import SimpleNamespace

import pytest

from videoconf import gunicorn_config

USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", None)


@pytest.mark.skipif(USER_TIMEOUT is None, reason="this system has no TCP_USER_TIMEOUT")
def test_kernel_drops_clients_that_acknowledge_nothing() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        gunicorn_config.when_ready(SimpleNamespace(LISTENERS=[SimpleNamespace(sock=listener)]))
        with closing(socket.create_connection(listener.getsockname())):
            accepted, _ = listener.accept()
            with closing(accepted):
                assert accepted.getsockopt(socket.IPPROTO_TCP, USER_TIMEOUT) == 10_000


def test_listeners_that_have_no_such_option_are_left_alone(tmp_path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(tmp_path / "socket"))
        gunicorn_config.when_ready(SimpleNamespace(LISTENERS=[SimpleNamespace(sock=listener)]))
