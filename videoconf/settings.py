"""Every setting of the service, declared once: name, type, default, bounds, help, and whether it is a secret.

A setting is a field of a frozen dataclass, made by :func:`setting`; its variable is the prefix and the field's name in
capitals (``database_url`` is ``VIDEOCONF_DATABASE_URL``), and ``…_FILE`` names a file that holds the value. Plugins
declare theirs in the same way under ``VIDEOCONF_<KEY>_``. :func:`load` reads one such class from the environment,
reports every fault at once, and never repeats a value, so that no secret reaches a log by way of an error.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

from environs import EnvValidationError, FileAwareEnv
from marshmallow import ValidationError
from marshmallow.validate import OneOf, Range, Validator

from videoconf.errors import ConfigurationError

PREFIX = "VIDEOCONF_"

T = TypeVar("T")


class Secret:
    """A text that prints as ``***``. :meth:`reveal` is the only way to the text, and easy to search for."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a Secret is not pickled")


def setting(
    help: str,
    *,
    default: Any = dataclasses.MISSING,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Iterable[str] | None = None,
    parse: Callable[[str], str] = str,
) -> Any:
    """Declare a setting as a dataclass field. Its type is the field's annotation; without a default it is required.

    Types: ``str``, ``int``, ``float``, ``bool``, :class:`Secret`, tuples of ``str`` or ``Secret`` (comma-separated in
    the environment), and any of these or None.

    :param parse: makes of a ``str`` the value that is meant, or raises marshmallow's ``ValidationError``.
    """
    validators: tuple[Validator, ...] = ()
    if minimum is not None or maximum is not None:
        validators += (Range(min=minimum, max=maximum),)
    if choices is not None:
        validators += (OneOf(tuple(choices)),)
    metadata = {"help": help, "validators": validators, "choices": choices, "parse": parse}
    return dataclasses.field(default=default, kw_only=True, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Declared:
    """One declared setting, as documentation and checks see it."""

    variable: str
    field: str
    type: Any
    default: Any
    required: bool
    secret: bool
    help: str
    choices: tuple[str, ...]
    validators: tuple[Validator, ...]
    parse: Callable[[str], str]


def _http_url(text: str) -> str:
    """Read a URL below which paths are put."""
    try:
        url = urlsplit(text)
        is_one = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        is_one = False
    if not is_one or "@" in text or not re.fullmatch(r"[^\s?#]+", text):
        raise ValidationError("Must be a URL like https://video.example.com.")
    return text.rstrip("/")


def _path(text: str) -> str:
    """Read a path that is put before others."""
    path = text.rstrip("/")
    if not re.fullmatch(r"(/[\w.~-]+)*", path, re.ASCII):
        raise ValidationError("Must be a path like /video.")
    return path


def _address(text: str) -> str:
    """Read an address to listen on."""
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):([0-9]{1,5})", text)
    if text and (found is None or not 1 <= int(found[2]) <= 65535):
        raise ValidationError("Must be an address like 127.0.0.1:9464 or [::1]:9464, or empty.")
    return text


DEFAULT_ADDRESS_RATE = "120/minute"


@dataclasses.dataclass(frozen=True)
class Settings:
    """The core's settings."""

    providers: tuple[str, ...] = setting(
        "Enabled providers, in order; the first serves meetings that name none. Only these need their settings.",
        default=("vonage",),
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
    public_url: str = setting(
        "The service's own URL as providers and users reach it, without the path prefix.",
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
        "Shared secrets that verify HS256 bearer tokens, each of 32 bytes or more; several during rotation.", default=()
    )
    jwt_public_keys: str = setting(
        "PEM public keys, one after another, that verify RS256, ES256 or EdDSA bearer tokens.", default=""
    )
    jwt_jwks_url: str = setting(
        "URL of an identity provider's key set (JWKS), which verifies RS256, ES256 or EdDSA bearer tokens.",
        default="",
    )
    jwt_issuer: str = setting("The `iss` that a bearer token must carry.", default="videoconf")
    jwt_audience: str = setting("The `aud` that a bearer token must carry.", default="videoconf")
    jwt_permissions_claim: str = setting(
        "The claim that lists permissions; full stops lead into objects: `realm_access.roles`.",
        default="permissions",
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
        "Private hosts that event subscriptions may name, `host` or `host:port` in full; public hosts need no setting.",
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
        "Provider calls that may be under way at once in one process, for each provider.", default=32, minimum=1
    )
    tenant_slow_reads: int = setting(
        "Reads of one tenant that may run at once in one process once they took longer than 0.5 s (large lists and"
        " reports); a few more wait, others are answered with 429. 0: any number.",
        default=2,
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
        "How many proxies stand in front, whose `X-Forwarded-…` headers are believed.",
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
    console: bool = setting(
        "Serve the console at `/console`: a page of the API for people, who see what their token may see.", default=True
    )
    log_format: str = setting("`json` (one object a line) or `text`.", default="json", choices=("json", "text"))
    log_level: str = setting(
        "Least level that is logged.", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"), parse=str.upper
    )


def declared(cls: type[Any], prefix: str = PREFIX) -> list[Declared]:
    """List the settings that a class declares, in order."""
    hints = get_type_hints(cls)
    rows = []
    for field in dataclasses.fields(cls):
        required = field.default is dataclasses.MISSING
        rows.append(
            Declared(
                variable=f"{prefix}{field.name.upper()}",
                field=field.name,
                type=hints[field.name],
                default=None if required else field.default,
                required=required,
                secret=Secret in (hints[field.name], *get_args(hints[field.name])),
                help=field.metadata["help"],
                choices=tuple(field.metadata["choices"] or ()),
                validators=field.metadata["validators"],
                parse=field.metadata["parse"],
            )
        )
    return rows


def load(cls: type[T], prefix: str = PREFIX) -> T:
    """Read a settings class from the environment.

    :raises ConfigurationError: with every fault at once: missing, of the wrong type, out of bounds.
    """
    values, faults = read(cls, prefix)
    if faults:
        raise ConfigurationError(faults)
    return cls(**values)


def read(cls: type[Any], prefix: str = PREFIX) -> tuple[dict[str, Any], list[str]]:
    """Read what can be read of a settings class from the environment; return it, and the faults of the rest."""
    env = FileAwareEnv(prefix=prefix, eager=False, strip_whitespace=True)
    rows = {row.variable: row for row in declared(cls, prefix)}
    values: dict[str, Any] = {}
    faults: list[str] = []
    for row in rows.values():
        try:
            values[row.field] = _read(env, row)
        except ValueError as error:  # a …_FILE that cannot be read is raised at once, not collected
            faults.append(str(error))
    try:
        env.seal()
    except EnvValidationError as error:
        for variable, messages in sorted(typing.cast("dict[str, list[str]]", error.error_messages).items()):
            help = f" It is: {rows[variable].help}" if rows[variable].required else ""
            faults.append(f"{variable}: {' '.join(str(message) for message in messages)}{help}")
            values.pop(rows[variable].field, None)
    return values, faults


_OF_KUBERNETES = re.compile(
    r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)=.*"
    r"|(\w+_)?PORT=(tcp|udp|sctp)://.*",
    re.DOTALL,
)
"""What Kubernetes sets in every container for a Service whose name begins like ours: no setting has such a name."""


def unknown_variables(known: Iterable[Declared], prefix: str = PREFIX) -> Iterator[str]:
    """Name the variables of the environment that carry the prefix and are declared nowhere: misspellings."""
    names = {row.variable for row in known}
    for name in sorted(os.environ):
        if not name.startswith(prefix) or name in names or name.removesuffix("_FILE") in names:
            continue
        if not _OF_KUBERNETES.fullmatch(f"{name.removeprefix(prefix)}={os.environ[name]}"):
            yield name


def _read(env: FileAwareEnv, row: Declared) -> Any:
    """Read one variable with the parser of its type; faults gather in ``env`` until it is sealed."""
    name = row.field.upper()
    options: dict[str, Any] = {"validate": lambda value: _checked(row, value)}
    if not row.required:
        options["default"] = row.default
    item = next((part for part in get_args(row.type) if part not in (type(None), Ellipsis)), row.type)
    if get_origin(row.type) is tuple:
        parts = env.list(name, **options)
        return parts if parts is row.default else tuple(item(part.strip()) for part in parts or () if part.strip())
    if item in (bool, int, float):
        return getattr(env, item.__name__)(name, **options)
    text = env.str(name, **options)
    if not isinstance(text, str) or text is row.default:
        return text
    try:
        return item(row.parse(text.strip()))
    except ValidationError:  # gathered already
        return None


def _checked(row: Declared, value: Any) -> None:
    """Refuse a value that does not parse, or that a validator refuses once it is parsed."""
    parsed = row.parse(value.strip()) if isinstance(value, str) else value
    for validator in row.validators:
        validator(parsed)
