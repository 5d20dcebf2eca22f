"""Conditions of a request that are not dates are ignored (RFC 9110, section 13.1), and are never an error of ours."""

import pytest

from tests.support.service import ON_SQLITE

pytestmark = ON_SQLITE

OVERFLOWING = (
    "Mon, 01 Jan 99999999999999 00:00:00 GMT",
    "Mon, 01 Jan 2030 99999999999999:00:00 GMT",
    "Mon, 99999999999999 Jan 2030 00:00:00 GMT",
)
PATHS = ("/docs", "/docs/init.js", "/openapi.json", "/join", "/console", "/pages/join/door.js")


@pytest.mark.parametrize("date", [*OVERFLOWING, "no date", "Mon, 01 Jan 10000 00:00:00 +9999"])
@pytest.mark.parametrize("header", ["If-Modified-Since", "If-Unmodified-Since", "If-Range"])
def test_condition_that_is_no_date_is_ignored(app, header, date):
    client = app.test_client()
    for path in PATHS:
        answer = client.get(path, headers={header: date, **({"Range": "bytes=0-1"} if header == "If-Range" else {})})
        assert answer.status_code == 200, path


def test_condition_that_is_a_date_holds(app):
    client = app.test_client()
    seen = client.get("/docs/init.js").headers["Last-Modified"]
    assert client.get("/docs/init.js", headers={"If-Modified-Since": seen}).status_code == 304
    part = client.get("/docs/init.js", headers={"If-Range": seen, "Range": "bytes=0-1"})
    assert (part.status_code, len(part.data)) == (206, 2)
