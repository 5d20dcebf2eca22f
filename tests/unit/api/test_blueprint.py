"""Queries, pages, the OpenAPI document, and the page that shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask import Blueprint as FlaskBlueprint
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from openapi_spec_validator import validate

from videoconf.api import docs
from videoconf.api.openapi import Tag, openapi_document
from videoconf.api.pagination import MAX_PAGE, page_headers
from videoconf.settings import Settings

Headers = Callable[..., dict[str, str]]


# --- queries --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        ("x=1", {"x"}),
        ("page_size=1", {"page_size"}),
        ("page=1&page=2", {"page"}),
        ("x=1&x=2", {"x"}),
        ("page=0", {"page"}),
        ("page=-1", {"page"}),
        ("page=10001", {"page"}),
        ("page=1e9", {"page"}),
        ("page=1.0", {"page"}),
        ("page=+1", {"page"}),
        ("page=%201", {"page"}),
        ("page=١", {"page"}),
        ("page=", {"page"}),
        ("page=abc", {"page"}),
        (f"page={'9' * 5000}", {"page"}),
        ("pageSize=0", {"pageSize"}),
        ("pageSize=101", {"pageSize"}),
        ("isOpen=1", {"isOpen"}),
        ("isOpen=True", {"isOpen"}),
        ("isOpen", {"isOpen"}),
        ("page=x&pageSize=y&z=%00", {"page", "pageSize", "z"}),
    ],
)
def test_a_query_is_as_strict_as_a_body(client: FlaskClient, headers: Headers, query: str, errors: set[str]) -> None:
    response = client.get(f"/things?{query}", headers=headers())
    body = response.get_json(force=True)
    assert (response.status_code, body["code"]) == (422, "validation_failed")
    assert body["errors"].keys() == errors


@pytest.mark.parametrize(("query", "found"), [("", None), ("isOpen=true", True), ("isOpen=false&page=200", False)])
def test_query_has_booleans_and_integers(client: FlaskClient, headers: Headers, query: str, found: bool | None) -> None:
    response = client.get(f"/things?{query}", headers=headers())
    assert response.status_code == 200
    assert response.get_json()[0].get("isOpen") is found


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({"x": 1}, {"x"}),
        ({"seat_count": 1}, {"seat_count"}),
        ({"schedule": ["2030-01-01T00:00:00", "2030-01-01T00:00:00Z", 7]}, {"schedule.0", "schedule.2"}),
        ({"name": "123456", "isOpen": "true", "seatCount": "1"}, {"name", "isOpen", "seatCount"}),
        ({"extMetadata": {"a": "x" * 64}}, {"extMetadata"}),
        ({"name": None}, {"name"}),
    ],
)
def test_errors_of_a_body_stand_under_their_paths(
    client: FlaskClient, headers: Headers, body: Any, paths: set[str]
) -> None:
    response = client.post("/things", json=body, headers=headers())
    assert response.status_code == 422
    assert response.get_json(force=True)["errors"].keys() == paths


# --- pages ----------------------------------------------------------------------------------------------------------


def links(headers: dict[str, str]) -> dict[str, str]:
    return {rel: url for url, rel in re.findall(r'<([^>]*)>; rel="(\w+)"', headers.get("Link", ""))}


def test_page_headers_give_its_place(client: FlaskClient, headers: Headers) -> None:
    response = client.get("/things?page=2&isOpen=true&pageSize=100", headers=headers())
    assert json.loads(response.headers["X-Pagination"]) == {
        "total": 1000,
        "totalPages": 10,
        "firstPage": 1,
        "lastPage": 10,
        "page": 2,
        "previousPage": 1,
        "nextPage": 3,
    }
    assert links(dict(response.headers)) == {
        rel: f"/things?isOpen=true&page={page}&pageSize=100"
        for rel, page in {"first": 1, "prev": 1, "next": 3, "last": 10}.items()
    }


@pytest.mark.parametrize(
    ("page", "total", "rels", "found"),
    [
        (1, 0, {}, {"total": 0, "totalPages": 0}),
        (3, 0, {}, {"total": 0, "totalPages": 0}),
        (1, 1, {"first": 1, "last": 1}, {"total": 1, "totalPages": 1, "firstPage": 1, "lastPage": 1, "page": 1}),
        (2, 20, {"first": 1, "prev": 1, "last": 2}, {"page": 2, "previousPage": 1, "totalPages": 2}),
        (9, 20, {"first": 1, "last": 2}, {"totalPages": 2}),
        (MAX_PAGE, 10 * MAX_PAGE + 1, {"prev": MAX_PAGE - 1, "last": MAX_PAGE}, {"totalPages": MAX_PAGE + 1}),
    ],
)
def test_first_and_last_page_have_fewer_links(
    shell: Flask, page: int, total: int, rels: dict[str, int], found: dict[str, int]
) -> None:
    with shell.test_request_context("/things"):
        headers = page_headers(page, 10, total)
    pages = {rel: int(dict(parse_qsl(urlsplit(url).query))["page"]) for rel, url in links(headers).items()}
    assert rels.items() <= pages.items()
    assert ("prev" in pages, "next" in pages) == ("prev" in rels, "next" in rels)
    assert found.items() <= json.loads(headers["X-Pagination"]).items()


@given(page=st.integers(1, MAX_PAGE), size=st.integers(1, 100), total=st.integers(0, 10**9))
def test_links_lead_only_to_pages_that_exist(page: int, size: int, total: int) -> None:
    with Flask("t").test_request_context("/x"):
        headers = page_headers(page, size, total)
    found = json.loads(headers["X-Pagination"])
    assert found["totalPages"] == -(-total // size)
    for url in links(headers).values():
        assert 1 <= int(dict(parse_qsl(urlsplit(url).query))["page"]) <= min(found["totalPages"], MAX_PAGE)


@given(st.lists(st.tuples(st.text(), st.text()), max_size=3))
def test_links_keep_the_query_and_cannot_break_the_header(query: list[tuple[str, str]]) -> None:
    with Flask("t").test_request_context("/x", query_string=dict(query)):
        header = page_headers(1, 10, 30)["Link"]
    assert header.isascii()
    assert header.count("<") == header.count(">") == 3
    assert header.isprintable()


def test_links_respect_a_prefix(shell: Flask) -> None:
    with shell.test_request_context("/a%22%3E/things", base_url="http://x/video"):
        assert links(page_headers(1, 10, 5))["first"] == "/video/a%22%3E/things?page=1&pageSize=10"


# --- the document ---------------------------------------------------------------------------------------------------


@pytest.fixture
def document(shell: Flask) -> dict[str, Any]:
    return openapi_document(shell)


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    validate(document)
    assert document["openapi"] == "3.1.0"
    assert document["info"]["title"] == "Video Conferencing Service"


def test_operations_document_their_declarations(document: dict[str, Any]) -> None:
    listing = document["paths"]["/things"]["get"]
    assert listing["x-permission"] == "GetMeetings"
    assert listing["security"] == [{"bearerAuth": []}]
    assert listing["description"] == "All of them.\n\nPermission: `GetMeetings`"
    assert listing["tags"] == [Tag.SESSIONS]
    assert listing["responses"].keys() == {"200", "400", "401", "403", "422", "429", "500", "503", "default"}
    create = document["paths"]["/things"]["post"]
    assert create["responses"].keys() - listing["responses"].keys() == {"413", "415"}
    refused = listing["responses"]["401"]["content"]["application/problem+json"]
    assert refused["schema"] == {"$ref": "#/components/schemas/Problem"}
    assert refused["examples"] == {"unauthenticated": {"$ref": "#/components/examples/unauthenticated"}}
    assert create["requestBody"]["required"] is False
    assert document["paths"]["/hooks"]["post"]["security"] == []
    assert document["components"]["securitySchemes"]["bearerAuth"]["scheme"] == "bearer"


def test_tags_are_declared_once_and_all(document: dict[str, Any]) -> None:
    declared = [tag["name"] for tag in document["tags"]]
    assert declared == list(Tag)
    assert all(tag["description"] for tag in document["tags"])


def test_path_parameters_have_their_documented_names(document: dict[str, Any]) -> None:
    path = document["paths"]["/things/{thingLinkId}"]
    assert [parameter["name"] for parameter in path["parameters"]] == ["thingLinkId"]
    assert "404" in path["delete"]["responses"]


def test_paging_headers_are_documented_as_they_are_sent(document: dict[str, Any]) -> None:
    headers = document["paths"]["/things"]["get"]["responses"]["200"]["headers"]
    assert headers.keys() == {"X-Pagination", "Link", "X-Next-Cursor"}
    assert headers["X-Pagination"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Pagination"
    }
    assert "schema" not in headers["X-Pagination"]


def test_errors_are_documented_as_problems(document: dict[str, Any]) -> None:
    for name, response in document["components"]["responses"].items():
        assert response["content"] == {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        }, name
    assert document["components"]["schemas"].keys() == {"Problem", "Thing", "Pagination"}


def test_two_applications_do_not_share_a_document(make_shell: Callable[[Settings], Flask], settings: Settings) -> None:
    first, second = make_shell(settings), make_shell(settings)
    assert openapi_document(first) == openapi_document(second)


def test_the_document_is_served_and_cacheable(shell: Flask, client: FlaskClient) -> None:
    response = client.get("/openapi.json")
    assert (response.status_code, response.content_type) == (200, "application/json")
    assert response.get_json() == json.loads(json.dumps(openapi_document(shell)))
    again = client.get("/openapi.json", headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


# --- the page -------------------------------------------------------------------------------------------------------


def test_page_is_complete_and_loads_only_from_the_service(client: FlaskClient) -> None:
    with client.get("/docs") as response:
        page = response.get_data(as_text=True)
        policy = response.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "//" not in policy  # no other host
    assert not re.search(r"<script>|<style|style=|\son\w+=", page)  # which the policy would block
    for url in re.findall(r'(?:src|href)="([^"]*)"', page):
        assert not url.startswith(("/", "http"))  # relative, for a prefix
        with client.get(f"/{url}") as asset:
            assert asset.status_code == 200
    with client.get("/docs/init.js") as script:
        assert "http" not in script.get_data(as_text=True).replace("public host", "")


@pytest.mark.parametrize(
    "name", ["x", "index.html", "..%2fdocs.py", "%2e%2e/docs.py", "docs.html", "oauth2-redirect.html"]
)
def test_other_files_are_not_served(client: FlaskClient, name: str) -> None:
    response = client.get(f"/docs/{name}")
    assert (response.status_code, response.get_json(force=True)["code"]) == (404, "not_found")


def test_the_document_is_below_a_prefix_where_the_page_is(make_shell: Callable[[Settings], Flask]) -> None:
    shell = make_shell(Settings(auth="disabled", development=True))
    parent = FlaskBlueprint("parent", __name__)
    shell.register_blueprint(parent)
    shell.register_blueprint(docs.blueprint, name="again", url_prefix="/video")
    client = shell.test_client()
    assert client.get("/video/openapi.json").status_code == 200
    with client.get("/video/docs/swagger-ui.css") as response:
        assert response.status_code == 200
