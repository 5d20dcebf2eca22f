"""Parts of a list: the parameters of a request, and the headers that link to the next part.

Every list works alike. ``limit`` and ``cursor`` walk it: the answer has ``X-Next-Cursor`` while there is more, and each
row that was there all the time comes exactly once. ``page`` and ``pageSize`` jump in it: the answer has totals, exact
up to :data:`~videoconf.db.keyset.COUNTED`, and pages end there. A view takes both from a :class:`ListRequest`.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

import marshmallow
from flask import request
from marshmallow.validate import Range

from videoconf.api.authentication import caller
from videoconf.api.cursors import MAX_LENGTH, list_digest, read_cursor, write_cursor
from videoconf.api.fields import Schema, StrictInteger, Text, documented
from videoconf.db.keyset import COUNTED, Listed, Order, Part
from videoconf.formats import camel_case

MAX_PAGE = 10_000
MAX_PAGE_SIZE = 100
DEFAULT_PAGE_SIZE = 50


class ListArgs(Schema):
    """The query parameters of every list. A list with others inherits from this, since unknown ones are refused."""

    limit = StrictInteger(
        load_default=None,
        validate=Range(1, MAX_PAGE_SIZE),
        metadata=documented(
            "How many items at most, without totals; the answer has `X-Next-Cursor` while there are more."
        ),
    )
    cursor = Text(
        max_length=MAX_LENGTH,
        load_default=None,
        metadata=documented("The `X-Next-Cursor` of the answer before, with the same filters and order."),
    )
    page = StrictInteger(
        load_default=None,
        validate=Range(1, MAX_PAGE),
        metadata=documented("A page of the first 10,000 items, with totals. Not with `limit` or `cursor`.", default=1),
    )
    page_size = StrictInteger(
        load_default=None, validate=Range(1, MAX_PAGE_SIZE), metadata={"default": DEFAULT_PAGE_SIZE}
    )

    @marshmallow.validates_schema
    def check_one_way(self, data: dict[str, Any], **kwargs: Any) -> None:
        paged = [name for name in ("page", "page_size") if data.get(name) is not None]
        walked = [name for name in ("limit", "cursor") if data.get(name) is not None]
        if paged and walked:
            raise marshmallow.ValidationError("Give limit and cursor, or page and pageSize.", camel_case(paged[0]))
        page, page_size = data.get("page") or 1, data.get("page_size") or DEFAULT_PAGE_SIZE
        if (page - 1) * page_size >= COUNTED:
            raise marshmallow.ValidationError(
                f"Pages end at {COUNTED:,} items. Walk the list with limit and cursor instead.", "page"
            )


class ListRequest:
    """What the current request asks for of a list.

    :param args: what :class:`ListArgs` loaded. The parameters of the part are taken out; the list's own are left.
    :param order: the order in which the list goes; its name is among these, if there are several.
    """

    def __init__(self, args: dict[str, Any], order: Order) -> None:
        limit, cursor = args.pop("limit"), args.pop("cursor")
        page, page_size = args.pop("page"), args.pop("page_size")
        self._page, self._page_size = page or 1, page_size or DEFAULT_PAGE_SIZE
        if limit is None and cursor is None:
            self.part = Part(self._page_size, offset=(self._page - 1) * self._page_size)
            return
        self._digest = list_digest(caller().tenant, request.path.rstrip("/"), args)
        after = None if cursor is None else read_cursor(cursor, self._digest, order.kinds)
        self.part = Part(limit or DEFAULT_PAGE_SIZE, after)

    def headers(self, found: Listed[Any]) -> dict[str, str]:
        """Return the headers that say where the list goes on."""
        if found.total is not None:
            return page_headers(self._page, self._page_size, found.total, is_capped=found.is_capped)
        if found.next is None:
            return {}
        cursor = write_cursor(self._digest, found.next)
        link = f'<{_url_up_to_part()}{urlencode({"cursor": cursor, "limit": self.part.limit})}>; rel="next"'
        return {"X-Next-Cursor": cursor, "Link": link}


class PaginationSchema(Schema):
    """The JSON in ``X-Pagination``."""

    total = marshmallow.fields.Integer(required=True, metadata={"description": "Items in all pages, at most 10,000."})
    total_is_capped = marshmallow.fields.Boolean(
        metadata={"description": "True where there are more than `total`; else absent."}
    )
    total_pages = marshmallow.fields.Integer(required=True)
    first_page = marshmallow.fields.Integer()
    last_page = marshmallow.fields.Integer()
    page = marshmallow.fields.Integer(metadata={"description": "This page; absent beyond the last."})
    previous_page = marshmallow.fields.Integer()
    next_page = marshmallow.fields.Integer()


LIST_HEADERS: dict[str, Any] = {
    "X-Pagination": {
        "description": "Where this page stands, as JSON; absent by cursor.",
        "content": {"application/json": {"schema": PaginationSchema}},
    },
    "Link": {
        "description": "The `first`, `prev`, `next` and `last` pages as far as there are (RFC 8288); by cursor `next`.",
        "schema": {"type": "string"},
    },
    "X-Next-Cursor": {
        "description": "The `cursor` of the next part; absent at the end of the list, and of pages.",
        "schema": {"type": "string"},
    },
}
"""What ``@blueprint.response(200, …, headers=LIST_HEADERS)`` documents of a list."""


def page_headers(page: int, page_size: int, total: int, *, is_capped: bool = False) -> dict[str, str]:
    """Return the headers of one page of the current request's list, of which there are ``total`` items.

    :param is_capped: there are more, which were not counted.
    """
    pages = -(-total // page_size)
    last = min(pages, MAX_PAGE)  # no link leads where the parameter's bound forbids to go
    found: dict[str, int] = {"total": total, "totalPages": pages}
    if is_capped:
        found["totalIsCapped"] = True
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
        url = _url_up_to_part()
        headers["Link"] = ", ".join(
            f'<{url}page={number}&pageSize={page_size}>; rel="{rel}"' for rel, number in links.items()
        )
    return headers


def _url_up_to_part() -> str:
    """Return the current request's URL, to which the parameters of another part of the list are to be added."""
    kept = [(name, value) for name, value in request.args.items(multi=True) if name not in _PART]
    return f"{quote(request.root_path + request.path)}?{urlencode(kept)}{'&' if kept else ''}"


_PART = ("limit", "cursor", "page", "pageSize")
