"""Compares each error that an application of a test answers with the OpenAPI document."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask, Response
    from werkzeug.routing import Rule

_documented: dict[tuple[str, str], set[str] | None] = {}
"""The error codes of each operation, by path and method: they are the same in all applications of the tests."""


def check_errors(app: Flask) -> None:
    """Fail the request that answers an error code, or a member of it, that its operation does not document."""
    from flask import request

    from videoconf.api.failures import PROBLEM_TYPE, every_error

    members = {error.code: set(error.members) for error in every_error()}
    known = {"type", "title", "status", "code", "detail", "requestId", "errors"}

    @app.after_request
    def compare(response: Response) -> Response:
        if response.content_type == PROBLEM_TYPE and request.url_rule is not None:
            codes = codes_of(app, request.url_rule, "GET" if request.method == "HEAD" else request.method)
            document = response.get_json(force=True)
            code = document["code"]
            assert codes is None or code in codes, f"{request.url_rule.endpoint} answers {code} undocumented"
            assert set(document) - known <= members.get(code, set()), f"{code} has an undocumented member: {document}"
        return response


def codes_of(app: Flask, rule: Rule, method: str) -> set[str] | None:
    """Return the codes that an operation documents, or None if the document does not have the operation."""
    from videoconf.api.openapi import openapi_document
    from videoconf.formats import camel_case

    path = re.sub(r"<(?:\w+:)?(\w+)>", lambda match: f"{{{camel_case(match[1])}}}", rule.rule)
    if (path, method) not in _documented:
        for documented, operations in openapi_document(app)["paths"].items():
            for verb, operation in operations.items():
                if "responses" in operation:
                    problems = [
                        answer["content"].get("application/problem+json", {}).get("examples", ())
                        for answer in operation["responses"].values()
                        if "content" in answer
                    ]
                    _documented[documented, verb.upper()] = {code for examples in problems for code in examples}
        _documented.setdefault((path, method), None)
    return _documented[path, method]
