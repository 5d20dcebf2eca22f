"""Each answer has the members that the OpenAPI document names, in its order, and lacks none that is required.

See test_laws.py for attendees.
"""

import pytest

from tests.support.service import ON_SQLITE, service_of
from videoconf.api.openapi import openapi_document
from videoconf.app import create_app
from videoconf.settings import Settings

pytestmark = [ON_SQLITE, pytest.mark.needs("archiving")]


@pytest.fixture(scope="module")
def document():
    """Give the document, which is the same for each provider; to make it takes longer than a test."""
    return openapi_document(create_app(Settings(providers=("fake",)), serving=False))


def members(value, schema, components):
    """Compare a value with its schema, level by level; return the places that differ."""
    if "$ref" in schema:
        schema = components["schemas"][schema["$ref"].rpartition("/")[2]]
    if isinstance(value, list):
        return [place for one in value for place in members(one, schema["items"], components)]
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    expected = [name for name in schema["properties"] if name in value or name in schema.get("required", ())]
    if list(value) != expected:
        return [(list(value), expected)]
    return [place for name, one in value.items() for place in members(one, schema["properties"][name], components)]


@pytest.mark.parametrize(
    ("method", "path", "documented"),
    [
        ("GET", "/session", "/session"),
        ("GET", "/session/{link}", "/session/{meetingLinkId}"),
        ("POST", "/session/{link}/token", "/session/{meetingLinkId}/token"),
        ("GET", "/session/{link}/attendance", "/session/{meetingLinkId}/attendance"),
        ("GET", "/archives", "/archives"),
        ("GET", "/archives/{archive}", "/archives/{archiveId}"),
        ("GET", "/audit", "/audit"),
        ("GET", "/providers", "/providers"),
        ("GET", "/healthz", "/healthz"),
        ("GET", "/readyz", "/readyz"),
    ],
)
def test_answer_has_the_documented_members(app, headers, document, method, path, documented):
    service = service_of(app, headers)
    link = service.api.create()
    service.join(link)
    archive = service.api("POST", f"/session/{link}/archives", {"name": "Visit 7"}).json
    answer = service.api(method, path.format(link=link, archive=archive["id"]), {} if method == "POST" else None)
    operation = document["paths"][documented][method.lower()]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer.status == 200
    assert answer.json, "an empty answer would prove nothing"
    assert members(answer.json, schema, document["components"]) == []
