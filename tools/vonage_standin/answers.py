"""What goes back to a caller."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. A 204 has neither body nor type."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    """Exactly so, without a charset: the opentok SDK compares the whole value."""


def as_json(value: Any, status: int = 200) -> Answer:
    """Return a JSON answer."""
    return Answer(status, json.dumps(value).encode())


def video_error(status: int, message: str, code: int = -1, *, wants_json: bool = True) -> Answer:
    """Return an error of the video service itself; XML where JSON is not asked for (recorded traffic, Ruby SDK)."""
    if wants_json:
        return as_json({"code": code, "message": message, "description": message}, status)
    text = f"<errorPayload><code>{code}</code><message>{escape(message)}</message></errorPayload>"
    return Answer(status, text.encode(), "text/xml")


def gateway_error(status: int, detail: str, instance: str) -> Answer:
    """Return an error of the unified environment's gateway (test data of vonage-python-sdk, Vonage: API errors)."""
    titles = {401: ("unauthorized", "Unauthorized"), 403: ("forbidden", "Forbidden")}
    name, title = titles[status]
    body = {
        "type": f"https://developer.vonage.com/api-errors#{name}",
        "title": title,
        "detail": detail,
        "instance": instance,
    }
    return as_json(body, status)
