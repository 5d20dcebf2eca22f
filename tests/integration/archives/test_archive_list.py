"""The list of archives is written without its schema; here it is held against it."""

import pytest

from tests.support.service import ON_SQLITE, service_of
from videoconf.api.archives import ArchiveSchema


@ON_SQLITE
@pytest.mark.needs("archiving")
def test_list_matches_its_schema(app, headers):
    service = service_of(app, headers)
    for new in ({"name": "Visit 7"}, {}):
        link = service.api.create()
        service.join(link)
        started = service.api("POST", f"/session/{link}/archives", new)
        assert started.status == 201, started
    items = service.api("GET", "/archives").json["items"]
    assert len(items) == 2
    for item in items:
        assert item == service.api("GET", f"/archives/{item['id']}").json
        assert list(item) == [field.data_key for field in ArchiveSchema().fields.values()]
    assert service.api("GET", "/archives?page=9").json == {"count": 2, "items": []}
