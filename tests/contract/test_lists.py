"""Every list of the API works alike: a new one that does not is found here, by the OpenAPI document."""

import pytest

from bench.offered_lists import LISTS
from videoconf.api.openapi import openapi_document

WHOLE = {
    "/providers": "one for each enabled provider",
    "/attendance": "a report, written as it is read",
    "/events": "a log, read by position: the `next` of one answer is the `after` of the next call",
}
"""Arrays that are answered whole, and why."""


def is_array(document, schema):
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if schema.get("type") == "array":
        return True
    return "items" in schema.get("properties", {})


def lists_of(document):
    for path, operations in document["paths"].items():
        content = operations.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        if any(is_array(document, media["schema"]) for media in content.values() if "schema" in media):
            yield path


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_list_is_walked_by_cursor(app):
    document = openapi_document(app)
    lists = set(lists_of(document)) - set(WHOLE)
    assert {"/session", "/archives", "/audit", "/session/{meetingLinkId}/attendees"} <= lists
    for path in lists:
        operation = document["paths"][path]["get"]
        parameters = {one["name"] for one in operation["parameters"] if "name" in one}
        assert {"limit", "cursor", "page", "pageSize"} <= parameters, path
        assert {"X-Next-Cursor", "Link", "X-Pagination"} <= operation["responses"]["200"]["headers"].keys(), path


EVERYWHERE = {"limit", "cursor", "page", "pageSize", "wait"}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_list_and_filter_is_tried_at_full_length(app):
    """`tests/integration/test_list_plans.py` and `make bench` ask what `bench/offered_lists.py` gives."""
    document = openapi_document(app)
    filters = {}
    for path, operations in document["paths"].items():
        names = {one["name"] for one in operations.get("get", {}).get("parameters", []) if "name" in one}
        if "limit" in names:
            filters[path] = names - EVERYWHERE
    assert {one.path for one in LISTS} == filters.keys()
    for one in LISTS:
        asked = "&".join(one.paths(1000))
        assert {name for name in filters[one.path] if f"{name}=" not in asked} == set(), one.path
