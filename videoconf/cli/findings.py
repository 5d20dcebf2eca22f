"""What ``videoconf doctor`` finds: what works, what does not, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from flask.cli import ScriptInfo
from sqlalchemy import func, select

from videoconf.api.claims import ANY_AUDIENCE
from videoconf.api.database_checks import NEWER, ask_database, ask_to_write
from videoconf.api.keys import key_ids
from videoconf.api.services import Services, services
from videoconf.configuration import declared, quoted_variables
from videoconf.db.engine import DIRECT_BIND
from videoconf.db.failures import MIGRATE
from videoconf.db.faults import WITHOUT_DIRECT_URL, look
from videoconf.db.functions import utc_in
from videoconf.db.pooler import Mode, leads_to_the_same
from videoconf.db.transactions import read
from videoconf.db.types import db
from videoconf.db.urls import shown
from videoconf.errors import ConfigurationError, ProviderError, VideoconfError
from videoconf.hooks import Registered
from videoconf.jobs.models import Job, JobState
from videoconf.providers import ProviderPort
from videoconf.settings import Settings
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
        about_settings = list(_settings(services(app)))
    except ConfigurationError as error:  # a value that cannot be read, or plugins that contradict each other
        yield from (Finding(Level.ERROR, "settings", fault) for fault in error.faults)
        return
    with app.app_context():
        parts = services(app)
        yield from about_settings
        yield from _tokens(parts)
        yield from _public_url(parts)
        yield from _rate_limits(parts)
        database = list(_database(parts))
        yield from database
        if not any(finding.level is Level.ERROR for finding in database):
            yield from _jobs()
            yield from _storage(parts)
        yield from _plugins(parts)
        for provider in parts.providers:
            yield _provider(provider)
            yield from _cautions(parts, provider)
            yield from _webhooks(parts, provider)


def _settings(parts: Services) -> Iterator[Finding]:
    yield from (Finding(Level.ERROR, "settings", fault) for fault in parts.faults)
    if not parts.faults:
        yield Finding(Level.OK, "settings", "complete")
    registry = parts.registry
    known = [*declared(Settings), *(row for key in registry.configurable for row in registry.settings_of(key))]
    for variable in quoted_variables(known):
        said = f"the quotes around {variable} are not part of its value"
        yield Finding(Level.NOTE, "settings", said, "Check that the other side, if there is one, has no quotes either.")
    if parts.settings.development:
        yield Finding(
            Level.WARNING, "settings", "VIDEOCONF_DEVELOPMENT allows what is unsafe", "Unset it in production."
        )


def _tokens(parts: Services) -> Iterator[Finding]:
    """Report which keys verify bearer tokens; fetch those of the identity provider. No token is tried."""
    settings = parts.settings
    if settings.auth == "disabled":
        return
    own = key_ids(settings)
    if own:
        separated = ", separated by commas or line ends" if len(settings.jwt_secrets) > 1 else ""
        yield Finding(Level.OK, "tokens", f"configured keys{separated}: {', '.join(own)}")
    if ANY_AUDIENCE in settings.jwt_audience:
        said = "tokens that the issuer made for other services are accepted too"
        yield Finding(Level.WARNING, "tokens", said, "Name the audience of this service in VIDEOCONF_JWT_AUDIENCE.")
    if not settings.jwt_jwks_url:
        return
    from videoconf.api.jwks import KeySetUnusable, jwks_of  # with PyJWT, which other checks do without

    if (jwks := jwks_of(settings)) is None:
        return
    try:
        found = jwks.fetch()
    except KeySetUnusable as error:
        level = Level.WARNING if own else Level.ERROR
        yield Finding(level, "tokens", str(error), "Open VIDEOCONF_JWT_JWKS_URL from this machine, and correct it.")
        return
    for sentence in found.left_out:
        yield Finding(Level.NOTE, "tokens", f"not used: {sentence}")
    if not found.keys:
        said = f"{settings.jwt_jwks_url} has no key of use"
        yield Finding(Level.ERROR, "tokens", said, "Add the issuer's algorithm to VIDEOCONF_JWT_ALGORITHMS.")
    else:
        ids = ", ".join(key_id or "(without id)" for key_id, _, _ in found.keys)
        yield Finding(Level.OK, "tokens", f"fetched keys of the identity provider: {ids}")
    if found.issuer is not None and found.issuer not in settings.jwt_issuer:
        said = f"the identity provider's `iss` is {found.issuer}, which VIDEOCONF_JWT_ISSUER does not name"
        yield Finding(Level.WARNING, "tokens", said, f"Set VIDEOCONF_JWT_ISSUER={found.issuer}")
    elif settings.jwt_issuer == Settings.jwt_issuer:
        said = f"VIDEOCONF_JWT_ISSUER has its default, {settings.jwt_issuer[0]}"
        yield Finding(Level.WARNING, "tokens", said, "Set it to the `iss` of the identity provider's tokens.")


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


def _database(parts: Services) -> Iterator[Finding]:
    found = look(db.engine, parts.settings.database_pooler)
    for fault in found.faults:
        level = Level.WARNING if fault.is_warning else Level.ERROR
        yield Finding(level, "database", fault.said, fault.remedy)
    if found.mode is None:  # it does not answer
        return
    if all(fault.is_warning for fault in found.faults):
        yield Finding(Level.OK, "database", f"{shown(db.engine.url)} answers{_how(found.mode)}")
    yield from _pooler(parts, found.mode)
    checks = ask_database()
    if checks["schema"] == "ok":
        yield Finding(Level.OK, "schema", "that of this release")
    elif checks["schema"] == NEWER:
        yield Finding(Level.NOTE, "schema", "a newer release has migrated it", "Replace this release by that one.")
    else:
        yield Finding(Level.ERROR, "schema", checks["schema"], MIGRATE)
    if checks["schema"] in ("ok", NEWER) and (stores := ask_to_write()) != "ok":
        said = f"it answers, and stores nothing ({stores})"
        yield Finding(Level.ERROR, "database", said, "Free its disk, or name the primary in VIDEOCONF_DATABASE_URL.")
    if checks.get("encryption", "ok") != "ok":
        yield Finding(Level.ERROR, "encryption", checks["encryption"], "Add them to VIDEOCONF_ENCRYPTION_KEYS.")


def _how(mode: Mode) -> str:
    if db.engine.dialect.name == "sqlite":
        return " (SQLite: for one node)"
    return " without a pooler" if mode is Mode.DIRECT else f" through a pooler in {mode} mode"


def _pooler(parts: Services, mode: Mode) -> Iterator[Finding]:
    """Compare the settings with what was found, and look at the connection past the pooler."""
    if parts.settings.database_pooler == "transaction":
        if mode is not Mode.TRANSACTION:
            said = f"VIDEOCONF_DATABASE_POOLER=transaction is set, and the database answers{_how(mode)}"
            yield Finding(Level.NOTE, "pooler", said, "Unset it where no pooler in transaction mode is used.")
        if not parts.settings.database_direct_url:
            yield Finding(Level.NOTE, "pooler", WITHOUT_DIRECT_URL.said, WITHOUT_DIRECT_URL.remedy)
    if (direct := db.engines.get(DIRECT_BIND)) is None:
        return
    found = look(direct)
    for fault in found.faults:
        yield Finding(Level.WARNING, "direct URL", fault.said, fault.remedy)
    if not found.faults and not leads_to_the_same(db.engine, direct):
        said = "VIDEOCONF_DATABASE_DIRECT_URL leads to another database than VIDEOCONF_DATABASE_URL"
        yield Finding(Level.ERROR, "direct URL", said, "Correct it: `videoconf db` would migrate the other one.")
    direct.dispose()


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
    registry, settings = parts.registry, parts.settings
    enabled: dict[str, Registered[Any]] = {
        **{key: registry.providers[key] for key in settings.providers if key in registry.providers},
        **{key: registry.storage_targets[key] for key in settings.storage_kinds if key in registry.storage_targets},
    }
    for key, registered in enabled.items():
        if key not in registry.names:
            said = (
                f"{key!r} is brought by the {registered.origin}, whose entry point has another name: to find it, the"
                " service imports every installed plugin. Release 0.3 will not"
            )
            yield Finding(Level.WARNING, "plugins", said, f"Upgrade its distribution, or name its entry point {key!r}.")


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


def _cautions(parts: Services, provider: ProviderPort) -> Iterator[Finding]:
    level = Level.WARNING if parts.settings.development else Level.ERROR
    try:
        cautions = provider.cautions()
    except ProviderError as error:
        cautions = [f"its cautions cannot be read ({error.code})"]
    yield from (Finding(level, f"provider {provider.key}", said) for said in cautions)


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
