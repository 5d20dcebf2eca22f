"""Compares each error that an application of a test answers with the OpenAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask, Response


def check_errors(app: Flask) -> None:
    """Fail the request that answers an error code, or a member of it, that its operation does not document."""
    from flask import request

    from videoconf.api.failures import codes_of, every_error
    from videoconf.api.problems import CONTENT_TYPE

    members = {error.code: set(error.members) for error in every_error()}
    known = {"type", "title", "status", "code", "detail", "requestId", "errors"}

    @app.after_request
    def compare(response: Response) -> Response:
        if response.content_type == CONTENT_TYPE and request.url_rule is not None:
            method = "GET" if request.method == "HEAD" else request.method
            codes = codes_of(app, request.url_rule.endpoint, method)
            document = response.get_json(force=True)
            code = document["code"]
            assert codes is None or code in codes, f"{request.url_rule.endpoint} answers {code} undocumented"
            assert set(document) - known <= members.get(code, set()), f"{code} has an undocumented member: {document}"
        return response
