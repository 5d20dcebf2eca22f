"""Pages of a list: what a caller may ask for, and the headers that say where it is."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

import marshmallow
from flask import request
from marshmallow.validate import Range

from videoconf.api.fields import Schema, StrictInteger

MAX_PAGE = 10_000
MAX_PAGE_SIZE = 100
DEFAULT_PAGE_SIZE = 50


class PageArgs(Schema):
    """The query parameters of a paged list. A list with others inherits from this, since unknown ones are refused."""

    page = StrictInteger(load_default=1, validate=Range(1, MAX_PAGE))
    page_size = StrictInteger(load_default=DEFAULT_PAGE_SIZE, validate=Range(1, MAX_PAGE_SIZE))


class PaginationSchema(Schema):
    """The JSON in ``X-Pagination``."""

    total = marshmallow.fields.Integer(required=True, metadata={"description": "Items in all pages."})
    total_pages = marshmallow.fields.Integer(required=True)
    first_page = marshmallow.fields.Integer()
    last_page = marshmallow.fields.Integer()
    page = marshmallow.fields.Integer(metadata={"description": "This page; absent beyond the last."})
    previous_page = marshmallow.fields.Integer()
    next_page = marshmallow.fields.Integer()


PAGE_HEADERS: dict[str, Any] = {
    "X-Pagination": {
        "description": "Where this page stands, as JSON.",
        "content": {"application/json": {"schema": PaginationSchema}},
    },
    "Link": {
        "description": "The `first`, `prev`, `next` and `last` pages, where there are such (RFC 8288).",
        "schema": {"type": "string"},
    },
}
"""What ``@blueprint.response(200, …, headers=PAGE_HEADERS)`` documents of a paged list."""


def page_headers(page: int, page_size: int, total: int) -> dict[str, str]:
    """Return the headers of one page of the current request's list, of which there are ``total`` items."""
    pages = -(-total // page_size)
    last = min(pages, MAX_PAGE)  # no link leads where the parameter's bound forbids to go
    found: dict[str, int] = {"total": total, "totalPages": pages}
    links: dict[str, int] = {}
    if pages:
        found |= {"firstPage": 1, "lastPage": last}
        links = {"first": 1}
        if page <= last:
            found["page"] = page
            if page > 1:
                found["previousPage"] = links["prev"] = page - 1
            if page < last:
                found["nextPage"] = links["next"] = page + 1
        links["last"] = last
    headers = {"X-Pagination": json.dumps(found)}
    if links:
        kept = [(name, value) for name, value in request.args.items(multi=True) if name not in ("page", "pageSize")]
        url = f"{quote(request.root_path + request.path)}?{urlencode(kept)}{'&' if kept else ''}"
        headers["Link"] = ", ".join(
            f'<{url}page={number}&pageSize={page_size}>; rel="{rel}"' for rel, number in links.items()
        )
    return headers
