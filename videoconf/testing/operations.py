"""Every call that the core makes to a provider, so that failures are tried on all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, cast

from videoconf.providers import (
    ArchiveRequest,
    Archiving,
    Capability,
    DownloadsArchives,
    HasRoster,
    JoinToken,
    Moderation,
    Provider,
    Role,
    SessionRef,
    SessionRequest,
    StorageDestination,
    StoresArchives,
    TokenRequest,
)

MEETING = "kit-meeting"
UNKNOWN = "kit-unknown"


@dataclass(frozen=True)
class Operation:
    """One call, on a session that exists."""

    name: str
    call: Callable[[], object]
    reads: bool = True
    """What the vendor answers matters: an unreadable answer is a failure."""
    forgives: bool = False
    """What is to be gone, or of no consequence, may be gone already: then the vendor's refusal is success."""


def session_request(meeting: str = MEETING, **fields: Any) -> SessionRequest:
    """Ask for a session."""
    return SessionRequest(meeting, **fields)


def token_request(provider: Provider, attendee: str | None = "kit-ann", **fields: Any) -> TokenRequest:
    """Ask for a token of the least role that the provider gives, for ten minutes."""
    roles = provider.capabilities.roles
    role = next(role for role in (Role.PUBLISHER, Role.SUBSCRIBER, Role.MODERATOR) if role in roles)
    expires_at = provider.context.clock() + timedelta(minutes=10)
    return TokenRequest(**{"role": role, "expires_at": expires_at, "attendee": attendee, **fields})


def issue(provider: Provider, session: SessionRef, attendee: str | None = "kit-ann", **fields: Any) -> JoinToken:
    """Get a token."""
    return provider.issue_token(session, token_request(provider, attendee, **fields))


def operations(provider: Provider, session: SessionRef, storage: StorageDestination | None) -> Iterator[Operation]:
    """Give every call that this provider takes."""
    can = provider.capabilities
    implements = cast(Any, provider)
    yield Operation("ensure_session", lambda: provider.ensure_session(session_request(f"{MEETING}-2")))
    yield Operation("issue_token", lambda: issue(provider, session))
    yield Operation("end_session", lambda: provider.end_session(session, [UNKNOWN]), reads=False, forgives=True)
    yield Operation("check", provider.check, reads=False)
    if Capability.ARCHIVING in can and isinstance(provider, Archiving):
        yield Operation("start_archive", lambda: implements.start_archive(session, ArchiveRequest()))
        yield Operation("stop_archive", lambda: implements.stop_archive(session, UNKNOWN), forgives=True)
        yield Operation("get_archive", lambda: implements.get_archive(UNKNOWN))
        yield Operation("list_archives", lambda: implements.list_archives(session), forgives=True)
        yield Operation("delete_archive", lambda: implements.delete_archive(UNKNOWN), reads=False, forgives=True)
    if Capability.ARCHIVE_DOWNLOADS in can and isinstance(provider, DownloadsArchives):
        yield Operation("archive_url", lambda: implements.archive_url(UNKNOWN))
        yield Operation("open_archive", lambda: implements.open_archive(UNKNOWN))
    if Capability.STORES_ARCHIVES in can and isinstance(provider, StoresArchives):
        if storage is not None:
            apply = partial(implements.apply_storage, storage.kind, dict(storage.configuration))
            yield Operation("apply_storage", apply, reads=False)
        yield Operation("clear_storage", implements.clear_storage, reads=False, forgives=True)
    if Capability.ROSTER in can and isinstance(provider, HasRoster):
        yield Operation("list_connections", lambda: implements.list_connections(session), forgives=True)
    if Capability.MODERATION in can and isinstance(provider, Moderation):
        yield Operation("disconnect", lambda: implements.disconnect(session, UNKNOWN), reads=False, forgives=True)
        mute_one = partial(implements.mute, session, UNKNOWN, {UNKNOWN: [UNKNOWN]})
        yield Operation("mute of one", mute_one, reads=False, forgives=True)
        yield Operation("mute of all", lambda: implements.mute(session, None, {}), reads=False, forgives=True)
