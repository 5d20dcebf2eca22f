"""What ``videoconf doctor`` finds: what works, what does not, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask.cli import ScriptInfo
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from videoconf.api.database_checks import NEWER, ask_database
from videoconf.api.services import Services, services
from videoconf.db.failures import MIGRATE
from videoconf.db.functions import utc_in
from videoconf.db.transactions import read
from videoconf.db.types import db
from videoconf.errors import ConfigurationError, ProviderError, VideoconfError
from videoconf.jobs.models import Job, JobState
from videoconf.providers import ProviderPort
from videoconf.storage_targets.cipher import MAKE_A_KEY
from videoconf.storage_targets.in_force import TargetState
from videoconf.storage_targets.models import StorageTargetRow

OVERDUE_SECONDS = 600.0


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    NOTE = "note"
    """Something to do outside the service."""
    WARNING = "warning"
    """It serves, and something will not work."""
    ERROR = "error"
    """It does not serve, or no meeting can be made."""


@dataclass(frozen=True)
class Finding:
    """What was found about one part."""

    level: Level
    part: str
    said: str
    remedy: str = ""


def find(script: ScriptInfo) -> Iterator[Finding]:
    """Check everything, one part after the other."""
    try:
        app = script.load_app()
    except ConfigurationError as error:  # a value that cannot be read, or plugins that contradict each other
        yield from (Finding(Level.ERROR, "settings", fault) for fault in error.faults)
        return
    with app.app_context():
        parts = services(app)
        yield from _settings(parts)
        yield from _public_url(parts)
        yield from _rate_limits(parts)
        database = list(_database())
        yield from database
        if not any(finding.level is Level.ERROR for finding in database):
            yield from _jobs()
            yield from _storage(parts)
        yield from _plugins(parts)
        for provider in parts.providers:
            yield _provider(provider)
            yield from _webhooks(parts, provider)


def _settings(parts: Services) -> Iterator[Finding]:
    yield from (Finding(Level.ERROR, "settings", fault) for fault in parts.faults)
    if not parts.faults:
        yield Finding(Level.OK, "settings", "complete, and tokens can be verified")
    if parts.settings.development:
        yield Finding(
            Level.WARNING, "settings", "VIDEOCONF_DEVELOPMENT allows what is unsafe", "Unset it in production."
        )


def _rate_limits(parts: Services) -> Iterator[Finding]:
    if parts.settings.rate_limit and not parts.settings.rate_limit_storage:
        said = "each process counts for itself: with n processes a tenant may make n times as many requests"
        remedy = "Set VIDEOCONF_RATE_LIMIT_STORAGE, or divide the rate by the number of all processes."
        yield Finding(Level.WARNING, "rate limits", said, remedy)


def _public_url(parts: Services) -> Iterator[Finding]:
    url = urlsplit(parts.settings.public_url)
    if parts.settings.development:
        return
    if _is_loopback(url.hostname or ""):
        said = f"{parts.settings.public_url} is this machine: no provider can reach it"
        yield Finding(Level.WARNING, "public URL", said, "Set VIDEOCONF_PUBLIC_URL to the URL that others use.")
    elif url.scheme != "https":
        said = f"{parts.settings.public_url} is not encrypted: tokens and webhooks can be read on the way"
        yield Finding(Level.WARNING, "public URL", said, "Serve HTTPS, and set VIDEOCONF_PUBLIC_URL to it.")
    else:
        yield Finding(Level.OK, "public URL", parts.settings.public_url)


def _database() -> Iterator[Finding]:
    name = db.engine.url.render_as_string(hide_password=True)
    checks = ask_database()
    if checks["database"] != "ok":
        said = f"{name} cannot be used ({_why() or checks['database']})"
        yield Finding(Level.ERROR, "database", said, "Start it, or correct VIDEOCONF_DATABASE_URL.")
        return
    single = " (SQLite: for one node)" if db.engine.dialect.name == "sqlite" else ""
    yield Finding(Level.OK, "database", f"{name} answers{single}")
    if checks["schema"] == "ok":
        yield Finding(Level.OK, "schema", "that of this release")
    elif checks["schema"] == NEWER:
        yield Finding(Level.NOTE, "schema", "a newer release has migrated it", "Replace this release by that one.")
    else:
        yield Finding(Level.ERROR, "schema", checks["schema"], MIGRATE)
    if checks.get("encryption", "ok") != "ok":
        yield Finding(Level.ERROR, "encryption", checks["encryption"], "Add them to VIDEOCONF_ENCRYPTION_KEYS.")


def _why() -> str:
    """Return the first line of what the driver says when it connects, without the password."""
    try:
        db.engine.connect().close()
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", None) or error).partition("\n")[0]
        password = db.engine.url.password
        return said.replace(str(password), "***") if password else said
    return ""


def _jobs() -> Iterator[Finding]:
    with read() as session:
        dead = session.execute(select(func.count()).where(Job.state == JobState.DEAD)).scalar_one()
        overdue = session.execute(
            select(func.count()).where(Job.state == JobState.PENDING, Job.due_at < utc_in(-OVERDUE_SECONDS))
        ).scalar_one()
    if dead:
        remedy = "See `videoconf jobs list --state dead`, then `videoconf jobs retry --all-dead`."
        yield Finding(Level.WARNING, "jobs", f"{dead} gave up", remedy)
    if overdue:
        remedy = "Run `videoconf worker`, or set VIDEOCONF_EMBEDDED_WORKERS to 1."
        yield Finding(Level.WARNING, "jobs", f"{overdue} are overdue: no worker seems to run", remedy)
    if not dead and not overdue:
        yield Finding(Level.OK, "jobs", "none gave up, none is overdue")


def _storage(parts: Services) -> Iterator[Finding]:
    if not parts.settings.encryption_keys:
        said = "without VIDEOCONF_ENCRYPTION_KEYS no storage target can be set"
        yield Finding(Level.NOTE, "storage", said, f"To have one, set it: {MAKE_A_KEY}")
    in_force = select(StorageTargetRow).where(StorageTargetRow.state == TargetState.ACTIVE)
    with read() as session:
        rows = session.execute(in_force.order_by(StorageTargetRow.tenant)).scalars().all()
    for row in rows:
        part = f"storage of tenant {row.tenant}"
        try:
            parts.targets.open(row.id).probe()
        except VideoconfError as error:
            said = f"{row.kind} does not work: {error.detail} ({error.code})"
            yield Finding(
                Level.WARNING, part, said, "Archives wait for it. Set the storage target again if it is gone."
            )
        else:
            yield Finding(Level.OK, part, f"{row.kind} was written, read and deleted from")


def _plugins(parts: Services) -> Iterator[Finding]:
    for failure in parts.registry.failures:
        said = f"the {failure.origin} cannot be loaded: {failure.reason}"
        yield Finding(Level.WARNING, "plugins", said, "Upgrade or uninstall its distribution.")


def _provider(provider: ProviderPort) -> Finding:
    part = f"provider {provider.key}"
    try:
        provider.check()
    except ProviderError as error:
        said = f"{error.detail} ({error.code}{f', {error.provider_message}' if error.provider_message else ''})"
        if error.retryable:
            return Finding(Level.WARNING, part, said, "Try again; no meeting can be made meanwhile.")
        return Finding(Level.ERROR, part, said, "Compare its settings with the account at the provider.")
    return Finding(Level.OK, part, f"{provider.label} answers and takes the credentials")


def _webhooks(parts: Services, provider: ProviderPort) -> Iterator[Finding]:
    base = f"{parts.settings.public_url}{parts.settings.path_prefix}/webhooks/{provider.key}"
    for channel in provider.capabilities.webhook_channels:
        said = f"its {channel} webhook has to be registered as {base}/{channel}"
        yield Finding(Level.NOTE, f"provider {provider.key}", said)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
