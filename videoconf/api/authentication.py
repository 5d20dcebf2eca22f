"""Who calls, and what for: bearer tokens, and one permission for each operation.

A view is marked with :func:`requires` or :func:`public`; one hook before all views reads the mark, so that a token is
checked before a body is read, in whatever order a view's decorators stand. A view without a mark answers no request.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar, cast

from flask import Flask, g, request

from videoconf import shares
from videoconf.api.bearer import EXPIRED, TokenVerifier
from videoconf.api.claims import Refusal
from videoconf.api.http import request_id, server_request_id
from videoconf.api.jwks import jwks_of
from videoconf.api.keys import read_keys
from videoconf.api.permissions import Permission
from videoconf.door.control import Control
from videoconf.errors import Forbidden, InternalError, IssuerUnavailable, MeetingNotFound, Unauthenticated
from videoconf.settings import Settings
from videoconf.tenancy import ActorType, Caller

MAX_TOKEN_LENGTH = 8192

logger = logging.getLogger(__name__)

View = TypeVar("View", bound=Callable[..., Any])
_ACCESS = "videoconf_access"
_CONTROL = re.compile(r"control +([\w-]{1,255})", re.ASCII | re.IGNORECASE)
_BEARER = re.compile(r"bearer +([\w.=-]+)", re.ASCII | re.IGNORECASE)


# --- declaring who may call ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Access:
    """Who may call a view: the bearer of a token with ``permission``, or with None everybody, for ``reason``."""

    permission: str | None
    reason: str = ""
    by_control: bool = False
    """Whether the control of a moderator of the path's meeting will do, too."""


def requires(permission: str, *, by_control: bool = False) -> Callable[[View], View]:
    """Mark a view: it answers callers whose token has this permission, to be found by :func:`caller`.

    :param by_control: it answers moderators of the meeting in its path, too.
    """
    return _marked(Access(Permission(permission), by_control=by_control))


def public(reason: str) -> Callable[[View], View]:
    """Mark a view: it answers without a token, for this reason."""
    return _marked(Access(None, reason))


def access_of(view: Callable[..., Any]) -> Access | None:
    """Return a view's mark. Decorators that are stacked upon it keep it."""
    return cast("Access | None", getattr(view, _ACCESS, None))


def caller() -> Caller:
    """Return who makes the current request; only in views that are marked with :func:`requires`."""
    return cast("Caller", g.caller)


def visitor() -> Caller:
    """Return who makes a public request: a person of whom only the request is known."""
    return Caller("", "", request_id=request_id(), server_request_id=server_request_id(), type=ActorType.ATTENDEE)


def undeclared_routes(app: Flask) -> list[str]:
    """List the routes that say neither whom they need nor that they are public. The application must have none."""
    return [f"{rule.endpoint} {rule.rule}" for rule in app.url_map.iter_rules() if _access(app, rule.endpoint) is None]


def _marked(access: Access) -> Callable[[View], View]:
    def mark(view: View) -> View:
        setattr(view, _ACCESS, access)
        return view

    return mark


def _access(app: Flask, endpoint: str) -> Access | None:
    if endpoint.rpartition(".")[2] == "static":
        return Access(None, "files that Flask serves")
    return access_of(app.view_functions[endpoint])


# --- checking it ----------------------------------------------------------------------------------------------------


def init_auth(
    app: Flask,
    settings: Settings,
    find_control: Callable[[str], Control | None] = lambda presented: None,
    before_refusing: Callable[[], None] = lambda: None,
) -> None:
    """Check every request of the application before its view runs.

    :param find_control: returns whose control was presented.
    :param before_refusing: adds hooks that run once it is known who calls, and for callers that will be refused, too.
    """
    keys, _ = read_keys(settings)
    jwks = jwks_of(settings)
    verifier = TokenVerifier(settings, keys, jwks)
    # Without the development setting nothing is ever open, even where no one looked at auth_faults().
    is_open = settings.auth == "disabled" and settings.development
    if is_open:
        logger.warning("authentication is DISABLED: every caller is the development actor with all permissions")
    developer = Caller("development", settings.default_tenant, frozenset(Permission))

    # Verifying a signature costs more than the rest of a small request, so a verified token is cached until it expires
    # or the identity provider's keys change; refusals are not cached. The generation of the keys is part of the cache's
    # key and is read before the token is verified: a result of withdrawn keys that comes late is stored where no later
    # request looks. Clearing the cache instead would race with the threads that fill it.
    @lru_cache(maxsize=1024)
    def verified(token: str, generation: int) -> tuple[Caller, float]:
        return verifier.verify(token)

    def needed() -> Access | None:
        rule = request.url_rule
        # Flask sets the attribute on werkzeug's rule, whose types do not have it.
        if rule is None or (rule.provide_automatic_options and request.method == "OPTIONS"):  # type: ignore[attr-defined]
            return None
        access = _access(app, rule.endpoint)
        if access is None:
            raise InternalError(f"{rule.endpoint} declares no permission")
        return access

    @app.before_request
    def authenticate() -> None:
        g.refused = None
        shares.tenant.set(None)  # a thread serves one request after another
        access = needed()
        if access is None or access.permission is None:
            return
        if access.by_control and (sent := _CONTROL.fullmatch(request.headers.get("Authorization", ""))) is not None:
            _enter_by_control(find_control(sent[1]))
            return
        if jwks is not None:
            jwks.refresh_if_due()
        try:
            generation = 0 if jwks is None else jwks.generation
            known = developer if is_open else _authenticate(verified, generation, settings.jwt_leeway_seconds)
        except Refusal as refusal:
            logger.info("token refused: %s", refusal.reason)
            g.refused = Unauthenticated(refusal.answer)
            return
        except IssuerUnavailable as error:
            g.refused = error
            return
        g.caller = replace(known, request_id=request_id(), server_request_id=server_request_id())
        shares.tenant.set(known.tenant)
        if access.permission not in known.permissions:
            g.refused = Forbidden(f"The token lacks the permission {access.permission}.")

    before_refusing()

    @app.before_request
    def refuse() -> None:
        if (refused := g.refused) is not None:
            raise refused


def _enter_by_control(control: Control | None) -> None:
    if control is None:
        g.refused = Unauthenticated("The control is not valid.")
        return
    g.caller = replace(visitor(), subject=control.attendee, tenant=control.tenant, meeting_roles=frozenset())
    shares.tenant.set(control.tenant)
    if (request.view_args or {}).get("meeting_link_id") != control.meeting_link:
        g.refused = MeetingNotFound()  # as for an id that does not exist


def _authenticate(verified: Callable[[str, int], tuple[Caller, float]], generation: int, leeway_seconds: int) -> Caller:
    header = request.headers.get("Authorization")
    if header is None:
        raise Refusal("Send a bearer token in the Authorization header.")
    match = _BEARER.fullmatch(header)
    if match is None:
        raise Refusal("The Authorization header is not one bearer token.")
    if len(match[1]) > MAX_TOKEN_LENGTH:
        raise Refusal(f"The token is longer than {MAX_TOKEN_LENGTH} characters.", f"It has {len(match[1])}.")
    known, expires = verified(match[1], generation)
    if expires <= time.time() - leeway_seconds:
        raise Refusal(EXPIRED)
    return known
