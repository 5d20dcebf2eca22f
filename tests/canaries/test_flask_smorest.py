"""What the code relies on in libraries beyond what they document, one test for each.

A test that fails after an upgrade names the library, the release that the code was written for, and what to change.
"""

from http import HTTPStatus
from typing import Any

import flask_smorest
import pytest
from apispec import APISpec
from flask import Flask
from flask_smorest.spec import FlaskPlugin
from marshmallow import Schema, fields


@pytest.fixture
def smorest_app() -> Flask:
    app = Flask("canary")
    app.config |= {"API_TITLE": "canary", "API_VERSION": "1", "OPENAPI_VERSION": "3.1.0"}
    return app


def test_apispec_lets_a_lazy_response_be_replaced() -> None:
    """Written for apispec 6.9. On failure: ``Api.__init__`` in api/smorest.py must document errors in another way."""
    spec = APISpec("canary", "1", "3.1.0")
    spec.components.response("GONE", {"description": "theirs"}, lazy=True)
    spec.components.response("GONE", {"description": "ours"}, lazy=True)
    spec.path("/", operations={"get": {"responses": {"410": "GONE"}}})
    assert spec.to_dict()["components"]["responses"]["GONE"]["description"] == "ours"


def test_smorest_registers_error_responses_by_status_name(smorest_app: Flask) -> None:
    """Written for flask-smorest 0.47. On failure: rename the responses that ``Api.__init__`` replaces."""
    api = flask_smorest.Api(smorest_app)
    smorest_app.add_url_rule("/things", "things")
    [rule] = smorest_app.url_map.iter_rules("things")
    api.spec.path(rule=rule, operations={"get": {"responses": {"404": "NOT_FOUND", "default": "DEFAULT_ERROR"}}})
    assert set(api.spec.to_dict()["components"]["responses"]) == {HTTPStatus.NOT_FOUND.name, "DEFAULT_ERROR"}
    assert api.DEFAULT_ERROR_RESPONSE_NAME == "DEFAULT_ERROR"


def test_smorest_blueprint_serves_without_its_api_object(smorest_app: Flask) -> None:
    """Written for flask-smorest 0.47. On failure: ``init_edge`` must register blueprints through an ``Api``."""
    blueprint = flask_smorest.Blueprint("things", __name__)

    @blueprint.route("/things", methods=["POST"])
    @blueprint.arguments(Schema.from_dict({"name": fields.String()}))
    @blueprint.response(200, Schema.from_dict({"name": fields.String()}))
    def change(body: dict[str, Any]) -> dict[str, Any]:
        return body

    smorest_app.register_blueprint(blueprint)
    assert smorest_app.test_client().post("/things", json={"name": "a"}).json == {"name": "a"}


def test_smorest_hands_operations_to_plugins_complete(smorest_app: Flask) -> None:
    """Written for flask-smorest 0.47 and apispec 6.9.

    On failure: ``OperationPlugin.operation_helper`` in api/smorest.py needs the rule, the request body, the description
    and the responses of an operation from elsewhere.
    """
    seen: dict[str, Any] = {}

    class Watching(FlaskPlugin):
        def operation_helper(self, *, operations: dict[str, Any], rule: Any, **kwargs: Any) -> None:
            seen.update(operations, rule=rule)

    api = flask_smorest.Api(smorest_app, spec_kwargs={"flask_plugin": Watching()})
    blueprint = flask_smorest.Blueprint("things", __name__)

    @blueprint.route("/things/<string:thing_id>", methods=["POST"])
    @blueprint.arguments(Schema.from_dict({"name": fields.String()}))
    @blueprint.response(200)
    def change(body: dict[str, Any], thing_id: str) -> None:
        """Change a thing.

        However often.
        """

    api.register_blueprint(blueprint)
    assert (seen["rule"].endpoint, seen["rule"].arguments) == ("things.change", {"thing_id"})
    assert "requestBody" in seen["post"]
    assert seen["post"]["description"] == "However often."
    assert {"200", "422"} <= {str(status) for status in seen["post"]["responses"]}
