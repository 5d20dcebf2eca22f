"""``videoconf dev``: everything that a first try needs, in one command.

It serves with the fake provider on SQLite. The folder ``instance`` stores the database, the fake provider's rooms,
and ``dev.env`` with the settings in force, so that another shell can use the same service:
``videoconf --env-file instance/dev.env fake list``. Environment variables take precedence.
"""

from __future__ import annotations

import os
import secrets
import shlex
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from videoconf.cli.application import application
from videoconf.cli.serve import gunicorn_command
from videoconf.errors import ConfigurationError, VideoconfError

if TYPE_CHECKING:
    from videoconf.api.services import Services

TOKEN_TTL_SECONDS = 30 * 86400
MEDIA_PORT_OFFSET = 1
"""The fake provider serves its archives and its people at the port after the service's."""

BANNER = """
  videoconf serves at {url}. Ctrl-C stops it.
{meeting}
{console}  documentation  {url}/docs
  bearer token   {token}
                 (every permission, for 30 days; also in the file below)

  Make a meeting:
    curl -sS -X POST {url}/session -H "Authorization: Bearer $(cat {token_path})"
  Check the service, from another shell:
    {command} doctor
"""
CONSOLE = """  console        {url}/console#token={token}
                 (shows meetings and who attended; only a development server accepts a link with a token)
"""
MEETING_BANNER = """
  Open these links in two tabs to join a meeting:
    as its host    {host}
    as a guest     {guest}
"""
FAKE_BANNER = """  Let participants join and leave at the fake provider, from another shell:
    {command} fake --help
  or over HTTP, with the token from POST /session/{{meetingLinkId}}/token:
    curl -sS http://127.0.0.1:{media_port}/fake/join -d '{{"token": "…"}}'
"""


@click.command()
@click.option("--port", type=click.IntRange(1, 65534), default=8000, show_default=True, envvar="PORT")
def dev(port: int) -> None:
    """Create what is missing in instance/, then serve with the fake provider. For development only."""
    from flask_migrate import upgrade

    from videoconf.api.database import init_migrations
    from videoconf.api.keys import mint_token
    from videoconf.api.permissions import Permission
    from videoconf.api.services import services
    from videoconf.db.types import db

    listener = _bound(port)  # first: another service may be at work in this folder
    folder = Path("instance").absolute()
    os.umask(0o077)  # what is made here holds secrets
    folder.mkdir(exist_ok=True)
    environment = _environment(folder, port)
    os.environ.update(environment)

    app = application()
    parts = services(app)
    init_migrations(app)
    with app.app_context():
        upgrade()
        faults = [*parts.faults, *parts.credentials.faults()]
        db.engine.dispose()
    if faults:  # report them here, without a server's stack trace around them
        raise ConfigurationError(faults)

    (folder / "dev.env").write_text(_as_env_file(environment))
    settings = parts.settings
    token = mint_token(settings, subject="developer", permissions=list(Permission), ttl_seconds=TOKEN_TTL_SECONDS)
    (folder / "dev-token").write_text(token)
    videoconf = shlex.quote(str(Path(sys.executable).with_name("videoconf")))
    env_path = shlex.quote(str(folder / "dev.env"))
    with app.app_context():
        invitations = _first_meeting(parts)
        db.engine.dispose()
    banner = BANNER + FAKE_BANNER if parts.providers.find("fake") else BANNER
    url = f"http://127.0.0.1:{port}{settings.path_prefix}"
    click.echo(
        banner.format(
            url=url,
            console=CONSOLE.format(url=url, token=token) if settings.console else "",
            token=token,
            token_path=shlex.quote(str(folder / "dev-token")),
            command=f"{videoconf} --env-file {env_path}",
            media_port=port + MEDIA_PORT_OFFSET,
            meeting=MEETING_BANNER.format(**invitations) if invitations else "",
        )
    )
    if parts.providers.find("fake"):
        _let_the_fake_live(port + MEDIA_PORT_OFFSET)
    listener.set_inheritable(True)
    # A worker can hang at Ctrl-C: if gunicorn is handing a request to a thread at that moment, its signal handler waits
    # for the lock that the interrupted code holds. After this time it is killed. (SIGTERM, as in production, is safe.)
    serving = ("--worker-class=gthread", "--threads=16", "--graceful-timeout=3")
    # In place of this process, so that Ctrl-C and exit codes are gunicorn's own.
    command = gunicorn_command((f"fd://{listener.fileno()}",), 1, serving)
    os.execv(sys.executable, command)  # noqa: S606  # no shell is wanted


def _first_meeting(parts: Services) -> dict[str, str]:
    """Create a meeting and invite to it; return the links, or nothing where the provider has no client for browsers."""
    from videoconf.door.invitations import NewInvitation
    from videoconf.meetings.create import NewMeeting
    from videoconf.providers import Role
    from videoconf.tenancy import Caller

    if not parts.settings.join_page or parts.providers.choose(None).browser_client() is None:
        return {}
    developer = Caller("developer", parts.settings.default_tenant)
    roles = {"host": Role.MODERATOR, "guest": Role.PUBLISHER}
    try:
        link = parts.creation.create(developer, NewMeeting(ext_metadata={"title": "Your first meeting"}))
        return {who: parts.invitations.invite(developer, link, NewInvitation(role))[1] for who, role in roles.items()}
    except VideoconfError as error:  # a provider that is down, for example, which serving survives
        click.echo(f"The first meeting was not created: {error.detail}", err=True)
        return {}


def _let_the_fake_live(port: int) -> None:
    """Start the fake provider's own server. It ends when the last process that holds our end of a pipe has ended."""
    command = [sys.executable, "-m", "flask", "--app", "videoconf.app", "videoconf", "fake", "serve", f"--port={port}"]
    theirs, ours = os.pipe()
    listeners = []
    with suppress(OSError):  # the command itself reports that the port is not available
        listeners.append(
            socket.create_server(("127.0.0.1", port))
        )  # bound now: requests that arrive while it starts wait in the queue
        command.append(f"--listener={listeners[0].fileno()}")
    subprocess.Popen(  # noqa: S603  # our own command
        [*command, "--until-stdin-ends"], stdin=theirs, pass_fds=[one.fileno() for one in listeners]
    )
    os.close(theirs)
    os.set_inheritable(ours, True)


def _bound(port: int) -> socket.socket:
    """Bind the port. No client can connect before the server listens."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise click.ClickException(f"Port {port} is not available ({reason}). Choose another: PORT=9000.") from None
    return listener


def _environment(folder: Path, port: int) -> dict[str, str]:
    """Return the settings of this run; secrets are made once and then kept."""
    from cryptography.fernet import Fernet
    from dotenv import dotenv_values

    from videoconf.configuration import PREFIX

    made = {
        "VIDEOCONF_JWT_SECRETS": secrets.token_urlsafe(48),
        "VIDEOCONF_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "VIDEOCONF_FAKE_TOKEN_SECRET": secrets.token_urlsafe(48),
        "VIDEOCONF_FAKE_WEBHOOK_SECRETS": "whsec_" + b64encode(secrets.token_bytes(32)).decode(),
    }
    kept = dotenv_values(folder / "dev.env", interpolate=False)
    chosen = {
        "VIDEOCONF_DEVELOPMENT": "true",
        "VIDEOCONF_JWT_MAX_LIFE_SECONDS": str(TOKEN_TTL_SECONDS),
        "VIDEOCONF_PROVIDERS": "fake",
        "VIDEOCONF_DATABASE_URL": f"sqlite:///{folder / 'videoconf.sqlite'}",
        "VIDEOCONF_FAKE_STATE": str(folder / "fake.sqlite"),
        "VIDEOCONF_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "VIDEOCONF_FAKE_WEBHOOK_URL": f"http://127.0.0.1:{port}{os.environ.get('VIDEOCONF_PATH_PREFIX', '')}",
        "VIDEOCONF_FAKE_MEDIA_URL": f"http://127.0.0.1:{port + MEDIA_PORT_OFFSET}",
        **{name: kept.get(name) or secret for name, secret in made.items()},
    }
    return chosen | {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}


def _as_env_file(environment: Mapping[str, str]) -> str:
    """Write variables as dotenv reads them: a private key has several lines."""
    escaped = {name: value.replace("\\", "\\\\").replace("'", "\\'") for name, value in environment.items()}
    return "".join(f"{name}='{value}'\n" for name, value in escaped.items())
