"""Who calls, and which rows are theirs. Every query for a tenant's rows takes its condition from here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute


class ActorType(StrEnum):
    """Who acts. In a column of its own, because a token may carry any name."""

    CALLER = "caller"
    """The bearer of a token."""
    OPERATOR = "operator"
    """A person at the command line."""
    SYSTEM = "system"
    """The service itself, such as its retention."""
    ATTENDEE = "attendee"
    """A participant, by an invitation or as a moderator of their meeting."""
    PROVIDER = "provider"
    """The video provider, by what it reported."""


@dataclass(frozen=True)
class Caller:
    """The actor of one request: a person or a back end, by its token."""

    subject: str
    tenant: str
    permissions: frozenset[str] = frozenset()
    meeting_roles: frozenset[str] | None = None
    """Roles that the caller may give in meeting tokens; None: any."""
    request_id: str | None = None
    """As the caller chose it, or the server's."""
    server_request_id: str | None = None
    """The server's own, which no caller chooses."""
    type: ActorType = ActorType.CALLER

    @property
    def scope(self) -> dict[str, str]:
        """The parameter of :func:`visible_to_bound`."""
        return {"tenant": self.tenant}


def visible_to(caller: Caller, tenant: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """Return the condition that keeps a query to the caller's tenant.

    :param tenant: the column of the model that holds its rows' tenant.
    """
    return tenant == caller.tenant


def visible_to_bound(tenant: ColumnElement[str] | InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """Return the same for a statement that is built once; it does not run without :attr:`Caller.scope`."""
    from sqlalchemy import bindparam

    return tenant == bindparam("tenant")
