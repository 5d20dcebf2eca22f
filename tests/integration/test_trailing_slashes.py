"""A slash at the end of a path: an operator registered a webhook with one, or a client puts one behind each path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.service import ON_SQLITE, Service

pytestmark = ON_SQLITE


@pytest.mark.parametrize("path", ["/webhooks/{provider}/session/", "/webhooks/session/"])
def test_webhook_registered_with_a_slash_is_received(service: Service, path: str) -> None:
    link = service.api.create()
    service.join(link)
    for webhook in service.waiting():
        assert service.post(webhook, path.format(provider=service.provider.key)).status in (204, service.taken)
    assert len(service.api.attendees(link)) == 1


def test_paths_with_a_slash_answer_as_those_without(service: Service) -> None:
    link = service.api.create()
    for path in ("/session", f"/session/{link}", f"/session/{link}/attendees", "/archives", "/providers", "/healthz"):
        plain, slash = service.api("GET", path), service.api("GET", f"{path}/")
        assert (plain.status, slash.status) == (200, 200), path
        assert plain.json == slash.json
    assert service.api("POST", "/session/", {}).status == 200
    assert service.api("DELETE", f"/session/{link}/").status == 204


def test_list_with_a_slash_goes_on_without_one(service: Service) -> None:
    for _ in range(2):
        service.api.create()
    first = service.api("GET", "/session/?limit=1")
    second = service.api("GET", f"/session?limit=1&cursor={first.headers['X-Next-Cursor']}")
    assert (second.status, second.json != first.json) == (200, True)


def test_page_of_the_documentation_keeps_its_one_path(service: Service) -> None:
    moved = service.stranger("GET", "/docs/")
    assert (moved.status, moved.headers["Location"]) == (302, "../docs")


@pytest.mark.parametrize("path", ["/session//", "/unknown/", "/healthz//"])
def test_other_slashes_stay_unknown(make_app: Callable[..., Any], headers: Callable[..., Any], path: str) -> None:
    assert make_app().test_client().get(path, headers=headers()).status_code == 404
