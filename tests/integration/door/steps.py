"""What people do at the door, and the callers that invite them."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select

from tests.support.service import Answer, Caller, Service, credential
from videoconf.db.transactions import write
from videoconf.door.models import LobbyEntry


def invite(caller: Caller, link: str, **wish: Any) -> dict[str, Any]:
    """Make an invitation; return it, with the ``code`` in its URL."""
    answer = caller("POST", f"/session/{link}/invitations", wish)
    assert answer.status == 201, answer
    invitation = dict(answer.json)
    return {**invitation, "code": invitation["url"].partition("#")[2]}


def knock(service: Service, code: str, **presented: Any) -> Answer:
    """Present a code, as the page of a link does."""
    return service.stranger("POST", "/join", {"code": code, **presented})


def come_in(service: Service, code: str, **presented: Any) -> dict[str, Any]:
    """Present a code that admits; return the token and the seat."""
    answer = knock(service, code, **presented)
    assert answer.status == 200, answer
    return dict(answer.json)


def wait(service: Service, code: str, **presented: Any) -> str:
    """Present a code of which a moderator decides; return the ticket."""
    answer = knock(service, code, **presented)
    assert answer.status == 202, answer
    return str(answer.json["ticket"])


def poll(service: Service, ticket: str) -> Answer:
    """Ask whether a moderator has decided."""
    return service.stranger("POST", "/join/ticket", {"ticket": ticket})


def waiting(service: Service, link: str) -> list[dict[str, Any]]:
    """List who waits at a meeting."""
    answer = service.api("GET", f"/session/{link}/lobby?pageSize=100")
    assert answer.status == 200, answer
    return list(answer.json)


def fall_silent(app: Any, *, seconds: float) -> None:
    """Let all who wait have polled so much longer ago."""
    with app.app_context(), write() as session:
        for entry in session.execute(select(LobbyEntry)).scalars():
            entry.polled_on -= timedelta(seconds=seconds)
            entry.waiting_since -= timedelta(seconds=seconds)


def moderator(service: Service, link: str, **wish: Any) -> tuple[Caller, dict[str, Any]]:
    """Let a moderator come in by an invitation; return them as a caller with their control, and their seat."""
    seated = come_in(service, invite(service.api, link, role="moderator", **wish)["code"])
    return Caller(service.send, {"Authorization": f"Control {seated['control']}"}), seated


def connect(service: Service, seated: dict[str, Any]) -> str:
    """Join the provider's room with a token; return the connection's id. The webhook is delivered."""
    connection = service.fake.join(credential(seated))
    service.deliver()
    return connection
