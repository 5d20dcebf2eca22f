"""Every setting of the service, declared once: name, type, default, bounds, help, and whether it is a secret.

:mod:`videoconf.configuration` says how a setting is declared and reads the settings from the environment.
"""

from __future__ import annotations

import dataclasses
import re
from urllib.parse import urlsplit

from videoconf.configuration import invalid, setting
from videoconf.forward_proxy import ForwardProxy
from videoconf.secret import Secret as Secret


def _http_url(text: str) -> str:
    """Read a URL below which paths are put."""
    try:
        url = urlsplit(text)
        is_one = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        is_one = False
    if not is_one or "@" in text or not re.fullmatch(r"[^\s?#]+", text):
        raise invalid("Must be a URL like https://video.example.com.")
    return text.rstrip("/")


def _path(text: str) -> str:
    """Read a path that is put before others."""
    path = text.rstrip("/")
    if not re.fullmatch(r"(/[\w.~-]+)*", path, re.ASCII):
        raise invalid("Must be a path like /video.")
    return path


def _address(text: str) -> str:
    """Read an address to listen on."""
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):([0-9]{1,5})", text)
    if text and (found is None or not 1 <= int(found[2]) <= 65535):
        raise invalid("Must be an address like 127.0.0.1:9464 or [::1]:9464, or empty.")
    return text


def _proxy_url(text: str) -> str:
    """Read the URL of a forward proxy."""
    try:
        ForwardProxy.at(text)
    except ValueError as error:
        raise invalid(str(error)) from None
    return text


DEFAULT_ADDRESS_RATE = "120/minute"
ALGORITHMS = (*tuple(f"{family}{bits}" for family in ("HS", "RS", "PS", "ES") for bits in (256, 384, 512)), "EdDSA")
"""Those that may sign bearer tokens (RFC 7518, RFC 8037)."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """The core's settings."""

    providers: tuple[str, ...] = setting(
        "Enabled providers, in order; the first serves meetings that name none. Only these need their settings.",
        default=("vonage",),
    )
    storage_kinds: tuple[str, ...] = setting(
        "Enabled kinds of storage targets. A server imports only the plugins of these and of the enabled providers.",
        default=("s3", "azure"),
    )
    development: bool = setting(
        "Allows what is unsafe in production: `VIDEOCONF_AUTH=disabled`, loopback storage endpoints.",
        default=False,
    )
    database_url: Secret = setting(
        "SQLAlchemy URL: `postgresql://user:password@host/name`, or `sqlite:////absolute/path` for a single node.",
        default=Secret("sqlite:///videoconf.db"),
    )
    database_pool_size: int = setting(
        "Pooled database connections per process. Keep processes × this below PostgreSQL's `max_connections`. More than"
        " a processor can keep busy make a process slower: its threads then take its one interpreter from each other.",
        default=8,
        minimum=1,
        maximum=500,
    )
    database_pooler: str = setting(
        "How a pooler before PostgreSQL lends its connections. `session`: for as long as a client stays connected, as"
        " without a pooler. `transaction`: for one transaction (PgBouncer, Neon, Supabase, RDS Proxy); the service then"
        " prepares no statement, and the role has the time limits that `videoconf doctor` prints and checks.",
        default="session",
        choices=("session", "transaction"),
        parse=str.lower,
    )
    database_direct_url: Secret = setting(
        "URL of the same database past the pooler, for `videoconf db`: a migration needs one connection from beginning"
        " to end. Required by `VIDEOCONF_DATABASE_POOLER=transaction`; empty otherwise means `VIDEOCONF_DATABASE_URL`.",
        default=Secret(""),
    )
    public_url: str = setting(
        "The service's own URL as providers and users reach it, with a prefix that a proxy removes and without"
        " `VIDEOCONF_PATH_PREFIX`.",
        default="http://127.0.0.1:8000",
        parse=_http_url,
    )
    path_prefix: str = setting("Serves everything below this path, for example `/video`.", default="", parse=_path)
    auth: str = setting(
        "`jwt`, or `disabled` for local development: every call is then one named development actor's.",
        default="jwt",
        choices=("jwt", "disabled"),
    )
    jwt_secrets: tuple[Secret, ...] = setting(
        "Shared secrets that verify bearer tokens (HS256), each of 32 bytes or more; several during rotation.",
        default=(),
    )
    jwt_public_keys: str = setting(
        "PEM public keys or certificates, one after another, that verify bearer tokens (RS256, ES256, EdDSA).",
        default="",
    )
    jwt_jwks_url: str = setting(
        "URL of an identity provider's key set (JWKS), or of its discovery document"
        " (`…/.well-known/openid-configuration`), which names the key set.",
        default="",
    )
    jwt_algorithms: tuple[str, ...] = setting(
        "Algorithms that may sign bearer tokens. A key verifies those of its own type alone.",
        default=("HS256", "RS256", "ES256", "EdDSA"),
        choices=ALGORITHMS,
    )
    jwt_issuer: tuple[str, ...] = setting(
        "The `iss` that a bearer token must carry, exactly; one of them where there are several.",
        default=("videoconf",),
    )
    jwt_audience: tuple[str, ...] = setting(
        "The `aud` that a bearer token must carry; one of them where there are several. `*` accepts tokens that were"
        " issued for any service.",
        default=("videoconf",),
    )
    jwt_audience_claim: tuple[str, ...] = setting(
        "The claim that names the audience, where it is not `aud`: `client_id`, `azp`. The first that a token has"
        " counts.",
        default=("aud",),
    )
    jwt_subject_claim: tuple[str, ...] = setting(
        "The claim that names the caller. Where tokens of programs have no `sub`, name what they have instead:"
        " `sub,client_id,azp`. The first that a token has counts.",
        default=("sub",),
    )
    jwt_permissions_claim: tuple[str, ...] = setting(
        "The claims that list permissions, as lists or as one string with spaces; full stops lead into objects:"
        " `realm_access.roles`, `scope`.",
        default=("permissions",),
    )
    jwt_permissions_prefix: str = setting(
        "What stands before each permission in these claims, like `videoconf/`; values without it are not permissions.",
        default="",
    )
    jwt_permission_groups: tuple[str, ...] = setting(
        "Permissions for values of these claims that are groups, roles or addresses: `admins=*,support=GetMeetings"
        " GetMeetingArchives`.",
        default=(),
    )
    jwt_tenant_claim: str = setting("The claim that names the tenant; full stops lead into objects.", default="tenant")
    jwt_leeway_seconds: int = setting(
        "Clock difference allowed on `exp`, `nbf` and `iat`.", default=10, minimum=0, maximum=30
    )
    jwt_max_life_seconds: int = setting(
        "The longest time from `iat` to `exp` that a bearer token may have.",
        default=86400,
        minimum=60,
        maximum=365 * 86400,
    )
    default_tenant: str = setting(
        "The tenant of a token that names none. It also owns what a provider keeps for its whole account. Empty: such"
        " tokens are refused.",
        default="default",
    )
    token_ttl_seconds: int = setting(
        "How long a meeting token is valid when the caller names no `expireTime`.", default=7200, minimum=60
    )
    join_early_minutes: int = setting(
        "How early before its `scheduleTime` a scheduled meeting gives tokens.", default=15, minimum=0, maximum=10080
    )
    connection_cap_hours: int = setting(
        "How long a connection counts as there after its last sign of life, where nothing tells that it left.",
        default=24,
        minimum=1,
    )
    roster_seconds: int = setting(
        "How often providers that can tell are asked who is connected, to find lost webhooks; at least every 30 seconds"
        " where a provider repeats a webhook no longer than that. 0: never.",
        default=60,
        minimum=0,
    )
    webhook_body_hours: int = setting("How long the raw bodies of webhooks are kept.", default=24, minimum=0)
    webhook_retention_days: int = setting(
        "How long webhooks are remembered, to know repetitions and for inspection.", default=14, minimum=7
    )
    invitation_retention_days: int = setting(
        "How long invitations, their seats, and bans are kept after their meeting ended or they were revoked.",
        default=30,
        minimum=0,
        maximum=36500,
    )
    event_retention_days: int = setting(
        "How long an event is kept: the log can be read, and deliveries repeated, from then on.",
        default=30,
        minimum=7,
        maximum=3650,
    )
    event_hosts: tuple[str, ...] = setting(
        "Private hosts that event subscriptions may name, `host` or `host:port` in full; public hosts need no setting."
        " This machine itself is allowed in development alone.",
        default=(),
    )
    archive_retention_days: int = setting(
        "Age in days at which an archive is deleted, at the provider and in the storage target, unless it has a legal"
        " hold. 0 keeps archives for ever.",
        default=0,
        minimum=0,
        maximum=36500,
    )
    encryption_keys: tuple[Secret, ...] = setting(
        "Fernet keys that encrypt storage credentials in the database; the first encrypts, each decrypts. To change"
        " one: put the new key first, restart, run `videoconf rotate-keys`, then"
        " remove the old one.",
        default=(),
    )
    storage_hosts: tuple[str, ...] = setting(
        "Hosts that storage targets may be on besides those of the vendors themselves, `host` or `host:port`. One with"
        " `*` (`*.example.com`, or `*` alone) allows public addresses only; one named in full may have a private one.",
        default=(),
    )
    forward_proxy: Secret = setting(
        "URL of a proxy that carries the connections to providers, to the identity provider, to storage targets and to"
        " receivers of events: `http://proxy.example.com:3128`, with `user:password@` where it asks for them. The"
        " standard `HTTPS_PROXY` is not read. Empty: direct connections.",
        default=Secret(""),
        parse=_proxy_url,
    )
    forward_proxy_bypass: tuple[str, ...] = setting(
        "Hosts that are connected to directly: names, `*.internal`, addresses, `10.0.0.0/8`. This machine always is.",
        default=(),
    )
    download_ttl_seconds: int = setting(
        "How long the URL of an archive's download works, where the storage target signs it.",
        default=600,
        minimum=10,
        maximum=604800,
    )
    delete_pulled_archives: bool = setting(
        "Delete the provider's copy of an archive once the service has copied it into the storage target.",
        default=False,
    )
    embedded_workers: int = setting(
        "Job threads inside each server process. 0 where a worker runs beside it.",
        default=1,
        minimum=0,
        maximum=16,
    )
    provider_call_slots: int = setting(
        "Provider calls that may be under way at once in one process, for each provider.", default=36, minimum=1
    )
    tenant_slow_reads: int = setting(
        "Reads of one tenant that may run at once in one process once they went through 5,000 rows or took 2 s"
        " (large lists and reports); a few more wait, others are answered with 429. 0: any number.",
        default=1,
        minimum=0,
        maximum=1000,
    )
    rate_limit: str = setting(
        "Requests that a tenant may make, like `600/minute`; several separated by `;`. Each process counts for itself"
        " unless `VIDEOCONF_RATE_LIMIT_STORAGE` is set. Empty: any number.",
        default="",
    )
    rate_limit_address: str = setting(
        "How often an address, or an IPv6 /64 network, may be refused without a valid token (401, 404, 405); what is"
        " served never counts. Empty: any number.",
        default=DEFAULT_ADDRESS_RATE,
    )
    rate_limit_storage: Secret = setting(
        "`redis://…` where several processes share the counts; else each process counts for itself.", default=Secret("")
    )
    cors_origins: tuple[str, ...] = setting(
        "Origins whose scripts may call the API from browsers, each exactly as a browser sends it:"
        " `https://app.example.com`, with the port where it is not the usual one.",
        default=(),
    )
    join_page: bool = setting(
        "Serve the page on which people join by an invitation, `/join`. `false` where your product has its own.",
        default=True,
    )
    join_page_embedders: tuple[str, ...] = setting(
        "Origins whose pages may show the join page in a frame, like `https://app.example.com`.",
        default=(),
    )
    trusted_proxies: int = setting(
        "Number of proxies in front whose `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix` are trusted.",
        default=0,
        minimum=0,
        maximum=5,
    )
    metrics_bind: str = setting(
        "Address on which a server, and a job worker, serves `GET /metrics`, apart from the API. Empty: nowhere. Off in"
        " development.",
        default="127.0.0.1:9464",
        parse=_address,
    )
    tracing: bool = setting(
        "Send traces by OpenTelemetry, which `pip install 'videoconf[otel]'` brings. Where to, and which, is in the"
        " standard `OTEL_…` variables.",
        default=False,
    )
    log_actor: bool = setting(
        "Name the caller (`sub`) in the log line of each request. It may be a person's name or address.",
        default=False,
    )
    console: bool = setting(
        "Serve the console at `/console`: a page of the API for people, who see what their token may see.", default=True
    )
    log_format: str = setting("`json` (one object a line) or `text`.", default="json", choices=("json", "text"))
    log_level: str = setting(
        "Least level that is logged.", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"), parse=str.upper
    )

    @property
    def proxy(self) -> ForwardProxy | None:
        """The forward proxy; None for direct connections."""
        return ForwardProxy.at(self.forward_proxy.reveal(), self.forward_proxy_bypass)
