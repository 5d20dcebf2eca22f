"""``flask videoconf fake …``: drive the fake provider's state file from another process than the server's."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click

from videoconf.errors import VideoconfError
from videoconf.providers import ArchiveStatus

if TYPE_CHECKING:
    from videoconf_fake.control import FakeControl
    from videoconf_fake.media_server import MediaServer

PROVIDER_META_KEY = "videoconf.provider"
"""Under this key of ``click.Context.meta`` the core puts a function from a provider's key to its instance."""


@click.group()
def fake() -> None:
    """Make people join, leave and record at the fake provider, and deliver its webhooks."""


as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object for scripts.")
stream = click.option("--stream", default="camera", show_default=True, help="Id of the stream.")


@fake.command()
@click.argument("token", required=False)
@click.option("--session", help="Join this session anonymously, without a token.")
@as_json
def join(token: str | None, session: str | None, as_json: bool) -> None:
    """Join with a token of POST /session/{id}/token, or anonymously with --session."""
    with _act(as_json) as (control, report):
        if token is not None and session is None:
            connection = control.join(token)
        elif session is not None and token is None:
            connection = control.join_anonymously(session)
        else:
            raise click.UsageError("Give either a TOKEN or --session.")
        report["connection"] = connection
        report["said"] = f"Connection {connection} joined."


@fake.command()
@click.argument("connection")
@click.option("--reason", default="left", show_default=True, help="What the webhook gives as the reason.")
@as_json
def leave(connection: str, reason: str, as_json: bool) -> None:
    """End a connection as its user would."""
    with _act(as_json) as (control, report):
        control.leave(connection, reason)
        report["said"] = f"Connection {connection} left."


@fake.command()
@click.argument("connection")
@as_json
def drop(connection: str, as_json: bool) -> None:
    """End a connection as a lost network would."""
    with _act(as_json) as (control, report):
        control.drop(connection)
        report["said"] = f"Connection {connection} was lost."


@fake.command()
@click.argument("connection")
@stream
@as_json
def publish(connection: str, stream: str, as_json: bool) -> None:
    """Start a stream of a connection."""
    with _act(as_json) as (control, report):
        control.publish(connection, stream)
        report["said"] = f"Connection {connection} publishes {stream}."


@fake.command()
@click.argument("connection")
@stream
@as_json
def unpublish(connection: str, stream: str, as_json: bool) -> None:
    """Stop a stream of a connection."""
    with _act(as_json) as (control, report):
        control.unpublish(connection, stream)
        report["said"] = f"Connection {connection} no longer publishes {stream}."


@fake.command()
@click.argument("session")
@as_json
def close(session: str, as_json: bool) -> None:
    """Close the run of a session, as when the vendor's room goes away with everybody in it."""
    with _act(as_json) as (control, report):
        control.close_session(session)
        report["said"] = f"Session {session} was closed."


@fake.command()
@click.argument("archive")
@click.argument("status", type=click.Choice([status.value for status in ArchiveStatus]))
@click.option("--reason", help="What the webhook gives as the reason.")
@as_json
def archive(archive: str, status: str, reason: str | None, as_json: bool) -> None:
    """Move an archive on to a status."""
    with _act(as_json) as (control, report):
        control.change_archive(archive, ArchiveStatus(status), reason)
        report["said"] = f"Archive {archive} is {status}."


@fake.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8001, show_default=True)
@click.option("--until-stdin-ends", is_flag=True, hidden=True, help="Say nothing, and end when standard input does.")
@click.option("--listener", type=int, hidden=True, help="Descriptor of a socket that listens at the port.")
def serve(port: int, until_stdin_ends: bool, listener: int | None) -> None:
    """Let the fake live until Ctrl-C: serve archives, let people act over HTTP, finish recordings, post webhooks.

    VIDEOCONF_FAKE_MEDIA_URL names this server. `videoconf dev` runs it.
    """
    from videoconf_fake.live import Acts, Life
    from videoconf_fake.media_server import MediaServer

    with _control() as control:
        try:
            listening = None if listener is None else socket.socket(fileno=listener)
            server = MediaServer(control.provider, port, Acts(control), listening)
        except OSError as error:
            raise click.ClickException(f"The fake's people have no port: {error.strerror} ({port}).") from None
        with server:
            life = Life(control)
            life.start()
            if until_stdin_ends:
                threading.Thread(target=_shut_down_after_stdin, args=(server,), daemon=True).start()
            else:
                click.echo(f"The fake's archives and people are at http://127.0.0.1:{server.server_port}")
            with suppress(KeyboardInterrupt):
                server.serve_forever()
            life.stop()


def _shut_down_after_stdin(server: MediaServer) -> None:
    sys.stdin.buffer.read()
    server.shutdown()


@fake.command()
@as_json
def deliver(as_json: bool) -> None:
    """Post the webhooks that wait; fails if some still do."""
    with _act(as_json) as (_, report):
        pass
    if report["waiting"]:
        click.get_current_context().exit(1)


@fake.command(name="list")
@click.argument("session", required=False)
@as_json
def list_(session: str | None, as_json: bool) -> None:
    """List who is connected and what is recorded, in one session or in all."""
    from videoconf_fake.live import describe

    with _control() as control:
        sessions = describe(control, session)
        waiting = len(control.list_events(waiting=True))
    if as_json:
        click.echo(json.dumps({"sessions": sessions, "waiting": waiting}))
        return
    for row in sessions:
        click.echo(f"Session {row['session']}")
        for one in row["connections"]:
            click.echo(f"  connection {one['connection']} of {one['attendee'] or 'an anonymous participant'}")
        for one in row["archives"]:
            click.echo(f"  archive {one['archive']} is {one['status']}")
    click.echo(f"Webhooks waiting: {waiting}.")


@contextmanager
def _act(as_json: bool) -> Iterator[tuple[FakeControl, dict[str, Any]]]:
    """Run a block that does one thing and reports it, then deliver what waits, and print both."""
    report: dict[str, Any] = {}
    with _control() as control:
        yield control, report
        result = control.deliver()
    report |= {"delivered": result.delivered, "waiting": result.waiting, "problem": result.problem}
    if as_json:
        click.echo(json.dumps(report))
        return
    if "said" in report:
        click.echo(report["said"])
    problem = f" ({result.problem})" if result.problem else ""
    click.echo(f"Webhooks delivered: {result.delivered}, waiting: {result.waiting}{problem}.")


@contextmanager
def _control() -> Iterator[FakeControl]:
    """Give the control surface; what the provider refuses becomes one sentence and exit code 1."""
    from videoconf_fake.control import FakeControl

    get_provider = click.get_current_context().meta.get(PROVIDER_META_KEY)
    if get_provider is None:
        raise click.ClickException("This command runs as `flask --app videoconf.app videoconf fake …`.")
    try:
        provider = get_provider("fake")
        if not provider.settings.state:
            raise click.ClickException(
                "VIDEOCONF_FAKE_STATE is not set: the rooms are in the memory of the server's process, where this"
                " command cannot reach them. Set it to one file for both."
            )
        yield FakeControl(provider)
    except VideoconfError as error:
        raise click.ClickException(error.detail) from error
