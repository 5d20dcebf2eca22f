"""What the claims of a bearer token say about the caller, in the forms in which identity providers issue them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from videoconf.api.permissions import Permission
from videoconf.settings import Settings
from videoconf.tenancy import Caller

MAX_NAME_LENGTH = 255
MEETING_ROLES_CLAIM = "meetingRoles"
ANY_AUDIENCE = "*"
EVERY_PERMISSION = "*"
OTHER_TOKENS = ("refresh", "offline", "id", "logout")
"""What ``type``, ``typ`` or ``token_use`` says of a token that is not an access token."""
SHOWN_CHARACTERS = 200

_NAME = re.compile(rf"[^\x00-\x1f\x7f\ud800-\udfff]{{1,{MAX_NAME_LENGTH}}}")


class Refusal(Exception):
    """A bearer token is refused.

    :param answer: the sentence for the caller, which must not help a forger.
    :param detail: what the log says besides: values of the token, and the setting that decides.
    """

    def __init__(self, answer: str, detail: str = "") -> None:
        super().__init__(answer)
        self.answer = answer
        self.reason = f"{answer} {detail}".strip()


class TokenClaims:
    """Reads callers from the claims of verified tokens, as the settings say. Immutable; shared by threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._groups, _ = read_groups(settings.jwt_permission_groups)

    def caller(self, claims: Mapping[str, Any]) -> Caller:
        """Return who the verified claims name. PyJWT has compared the times with the clock.

        :raises Refusal: the claims are not those of an access token that this service accepts.
        """
        settings = self._settings
        for claim in ("exp", "iat"):
            if type(claims.get(claim)) not in (int, float):
                raise Refusal(f"The token's `{claim}` is missing or not a number.")
        if not claims["exp"] <= claims["iat"] + settings.jwt_max_life_seconds:  # exact, for any int and float
            raise Refusal(
                f"The token is valid for longer than {settings.jwt_max_life_seconds} s.",
                "VIDEOCONF_JWT_MAX_LIFE_SECONDS sets the limit.",
            )
        for claim in ("type", "typ", "token_use"):
            if str(claims.get(claim)).lower() in OTHER_TOKENS:
                raise Refusal("This is not an access token.", f"Its `{claim}` is {shown(claims[claim])}.")
        self._check_issuer(claims)
        self._check_audience(claims)
        meeting_roles = claims.get(MEETING_ROLES_CLAIM)
        return Caller(
            subject=self._subject(claims),
            tenant=self._tenant(claims),
            permissions=self._permissions(claims),
            meeting_roles=(
                None if meeting_roles is None else frozenset(role.lower() for role in _meeting_roles(meeting_roles))
            ),
        )

    def _check_issuer(self, claims: Mapping[str, Any]) -> None:
        found, accepted = claims.get("iss"), self._settings.jwt_issuer
        if found is None:
            raise Refusal("The token lacks `iss`.")
        if not isinstance(found, str) or found not in accepted:
            raise Refusal(
                "The token is from another issuer.",
                f"Its `iss` is {shown(found)}; VIDEOCONF_JWT_ISSUER is {shown(accepted)}.",
            )

    def _check_audience(self, claims: Mapping[str, Any]) -> None:
        accepted, names = self._settings.jwt_audience, self._settings.jwt_audience_claim
        if ANY_AUDIENCE in accepted:
            return
        name, found = _first(claims, names)
        if found is None:
            others = [other for other in ("client_id", "azp", "cid") if other in claims and other not in names]
            hint = f" It has {' and '.join(f'`{other}`' for other in others)}." if others else ""
            raise Refusal(f"The token lacks {_listed(names)}.", f"VIDEOCONF_JWT_AUDIENCE_CLAIM names it.{hint}")
        audiences = found if isinstance(found, list) else [found]
        if not any(isinstance(audience, str) and audience in accepted for audience in audiences):
            raise Refusal(
                "The token is for another audience.",
                f"Its `{name}` is {shown(found)}; VIDEOCONF_JWT_AUDIENCE is {shown(accepted)}.",
            )

    def _subject(self, claims: Mapping[str, Any]) -> str:
        names = self._settings.jwt_subject_claim
        name, found = _first(claims, names)
        if found is None:
            raise Refusal(f"The token lacks {_listed(names)}.", "VIDEOCONF_JWT_SUBJECT_CLAIM names the subject.")
        return _name(found, name)

    def _tenant(self, claims: Mapping[str, Any]) -> str:
        path = self._settings.jwt_tenant_claim
        found = find_claim(claims, path, self._settings.default_tenant)
        # An identity provider may name the one organisation as a list, or as an object of objects by name.
        is_by_name = isinstance(found, dict) and all(isinstance(value, dict) for value in found.values())
        if (is_by_name or isinstance(found, list)) and len(found) == 1:
            [found] = found
        if found == "":  # from the token, or the default of a deployment that has none
            raise Refusal(f"The token names no tenant in `{path}`.", "VIDEOCONF_DEFAULT_TENANT is empty.")
        return _name(found, path)

    def _permissions(self, claims: Mapping[str, Any]) -> frozenset[str]:
        settings = self._settings
        found = {path: find_claim(claims, path) for path in settings.jwt_permissions_claim}
        present = {path: value for path, value in found.items() if value is not None}
        if not present:
            raise Refusal(
                f"The token lacks {_listed(settings.jwt_permissions_claim)}.",
                f"VIDEOCONF_JWT_PERMISSIONS_CLAIM names it. The token has {shown(sorted(map(str, claims)))}.",
            )
        values = {value for path, claim in present.items() for value in _values(claim, path)}
        prefix = settings.jwt_permissions_prefix
        granted = {value.removeprefix(prefix) for value in values if value.startswith(prefix)}
        return frozenset(granted.union(*(self._groups.get(value, frozenset()) for value in values)))


def find_claim(claims: Mapping[str, Any], path: str, default: Any = None) -> Any:
    """Return a claim by its name or, where no claim has the whole name, by its path through objects.

    The names on the path may contain full stops themselves, as ids of clients do: the longest name wins.
    """
    if path in claims:
        return claims[path]
    for end in [place for place, character in enumerate(path) if character == "."][::-1]:
        inner = claims.get(path[:end])
        if isinstance(inner, Mapping):
            return find_claim(inner, path[end + 1 :], default)
    return default


def read_groups(groups: Iterable[str]) -> tuple[dict[str, frozenset[str]], list[str]]:
    """Read what values of a permissions claim stand for, ``admins=*`` or ``support=GetMeetings GetMeetingArchives``.

    Return the permissions of each value, and the faults of those entries that are left out.
    """
    found: dict[str, frozenset[str]] = {}
    faults: list[str] = []
    for entry in groups:
        value, equals, permissions = entry.rpartition("=")
        names = frozenset(Permission) if permissions.strip() == EVERY_PERMISSION else frozenset(permissions.split())
        if not equals or not value.strip() or not names:
            faults.append(
                "VIDEOCONF_JWT_PERMISSION_GROUPS: each entry is a value, an equals sign and permissions, like"
                " `support=GetMeetings GetMeetingArchives`."
            )
        elif unknown := sorted(names - frozenset(Permission)):
            faults.append(f"VIDEOCONF_JWT_PERMISSION_GROUPS: {unknown[0]!r} is not a permission.")
        else:
            found[value.strip()] = found.get(value.strip(), frozenset()) | names
    return found, faults


def shown(value: Any) -> str:
    """Return a value of a token for the log: on one line, and not too long."""
    text = ", ".join(map(repr, value)) if isinstance(value, list | tuple) else repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def _first(claims: Mapping[str, Any], paths: Iterable[str]) -> tuple[str, Any]:
    """Return the first of these claims that the token has, and its path; the value is None if it has none."""
    name = ""
    for name in paths:
        if (found := find_claim(claims, name)) is not None:
            return name, found
    return name, None


def _listed(names: Iterable[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)


def _name(value: Any, claim: str) -> str:
    if type(value) is int:  # not a Boolean
        value = str(value)
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise Refusal(f"The token's `{claim}` must be a string of 1–{MAX_NAME_LENGTH} printable characters.")
    return value


def _values(claim: Any, path: str) -> list[str]:
    """Return the strings of a claim: a list, or one string, whose words count each, as in ``scope`` (RFC 8693)."""
    if isinstance(claim, str):
        return [claim, *claim.split()]
    if isinstance(claim, list) and all(isinstance(item, str) for item in claim):
        return claim
    raise Refusal(f"The token's `{path}` is neither a list of strings nor a string.")


def _meeting_roles(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Refusal(f"The token's `{MEETING_ROLES_CLAIM}` is not a list of strings.")
    return value
