"""The list of meetings: order, pages, filters."""

import json

import pytest

from tests.support.service import ON_SQLITE


def test_meetings_are_listed_newest_first_in_pages(api):
    links = [api.create() for _ in range(7)][::-1]
    deleted = api.create()
    assert api("DELETE", f"/session/{deleted}").status == 204

    answer = api("GET", "/session")
    assert [meeting["meetingLink"] for meeting in answer.json] == links
    assert answer.json[0] == api.read(links[0])

    pages = [api("GET", f"/session?page={page}&pageSize=3") for page in (1, 2, 3)]
    assert [meeting["meetingLink"] for page in pages for meeting in page.json] == links
    paginations = [json.loads(page.headers["X-Pagination"]) for page in pages]
    common = {"total": 7, "totalPages": 3, "firstPage": 1, "lastPage": 3}
    assert paginations == [
        {**common, "page": 1, "nextPage": 2},
        {**common, "page": 2, "previousPage": 1, "nextPage": 3},
        {**common, "page": 3, "previousPage": 2},
    ]

    def url(page):
        return f"</session?page={page}&pageSize=3>"

    assert pages[1].headers["Link"] == (
        f'{url(1)}; rel="first", {url(1)}; rel="prev", {url(3)}; rel="next", {url(3)}; rel="last"'
    )
    assert 'rel="prev"' not in pages[0].headers["Link"]
    assert 'rel="next"' not in pages[2].headers["Link"]

    beyond = api("GET", "/session?page=4&pageSize=3")
    assert beyond.json == []
    assert "page" not in json.loads(beyond.headers["X-Pagination"])


@ON_SQLITE
def test_every_operation_returns_members_in_one_order(api):
    alone = api.read(api.create())
    [listed] = api("GET", "/session").json
    assert list(alone) == list(listed) != sorted(listed)


def test_empty_list_has_no_pages(api):
    answer = api("GET", "/session")
    assert answer.json == []
    assert json.loads(answer.headers["X-Pagination"]) == {"total": 0, "totalPages": 0}
    assert "Link" not in answer.headers


@ON_SQLITE
@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=10001", "page"),
        ("page=x", "page"),
        ("page=", "page"),
        ("page=1.0", "page"),
        ("page=" + "9" * 400, "page"),
        ("page=1&page=2", "page"),
        ("pageSize=0", "pageSize"),
        ("pageSize=101", "pageSize"),
        ("size=3", "size"),
    ],
)
def test_invalid_list_query_answers_422(api, query, path):
    assert api("GET", f"/session?{query}").wrong == [path]
