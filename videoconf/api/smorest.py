'''The blueprints and the API object that all resources use: flask-smorest with a strict parser and problem documents.

A resource is a module with one blueprint and plain functions::

    blueprint = Blueprint("meetings", __name__, tag="VideoChatSessionController")


    class MeetingQuery(ListArgs):
        ext_id = Text(max_length=255, load_default=None)


    @blueprint.route("/session", methods=["GET"])
    @requires(Permission.GET_MEETINGS)
    @blueprint.doc(operationId="VideoChatSessionController.getMeetings")
    @blueprint.arguments(MeetingQuery, location="query")
    @blueprint.response(200, MeetingSchema(many=True), headers=LIST_HEADERS)
    def get_meetings(query: dict[str, Any]) -> Any:
        """List the meetings, newest first."""
        asked = ListRequest(query, NEWEST_FIRST)
        found = services().meetings.list(caller(), query["ext_id"], asked.part)
        return [meeting_values(one) for one in found.items], asked.headers(found)


    @blueprint.route("/session/<meeting_link>", methods=["PATCH"])
    @requires(Permission.EDIT_MEETING)
    @blueprint.doc(operationId="VideoChatSessionController.editMeeting")
    @blueprint.arguments(MeetingEditSchema)
    @blueprint.response(204)
    def edit_meeting(changes: dict[str, Any], meeting_link: str) -> None:
        """Edit the meeting."""
        services().meetings.edit(caller(), meeting_link, changes)

What :meth:`Blueprint.arguments` loads comes before the path's parameters. A view returns plain values, a tuple of these
with headers, or a response; the schema of :meth:`Blueprint.response` documents them. The permission, the errors of
parsing and authentication, and 404 where the path has a parameter document themselves; ``fails_with`` names the others.
'''

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn

import flask
import flask_smorest
import marshmallow
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.common import MODIFIERS, resolve_schema_instance
from flask import Flask, Request, Response, make_response
from flask_smorest.pagination import PaginationMetadataSchema
from flask_smorest.spec import FlaskPlugin
from webargs.flaskparser import FlaskParser
from werkzeug.routing import Rule

from videoconf.api import failures
from videoconf.api.authentication import access_of
from videoconf.api.json_body import json_body
from videoconf.api.pagination import LIST_HEADERS, ListArgs, ListRequest
from videoconf.api.problems import ProblemSchema, validation_failed
from videoconf.formats import camel_case

__all__ = [
    "LIST_HEADERS",
    "Api",
    "Blueprint",
    "ListArgs",
    "ListRequest",
    "StrictParser",
]

SECURITY_SCHEME = "bearerAuth"
CONTROL_SCHEME = "control"

NULL_AS_TEXT = {"text/plain": {"schema": {"type": "string"}, "example": "null"}}
"""The other form of an answer that is ``null``."""

CACHED_QUERY_LENGTH = 1000

_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18})?", re.ASCII)


if TYPE_CHECKING:

    class _Blueprint(flask.Blueprint):
        """What is used of flask-smorest's blueprint, which has no type annotations."""

        def route(self, rule: str, **options: Any) -> Callable[[Any], Any]: ...
        def arguments(self, schema: Any, **kwargs: Any) -> Callable[[Any], Any]: ...
        def response(self, status_code: int, schema: Any = None, **kwargs: Any) -> Callable[[Any], Any]: ...
        def alt_response(self, status_code: int, response: Any = None, **kwargs: Any) -> Callable[[Any], Any]: ...
        @staticmethod
        def doc(**kwargs: Any) -> Callable[[Any], Any]: ...

else:
    _Blueprint = flask_smorest.Blueprint


class StrictParser(FlaskParser):
    """webargs on our own JSON. A query parameter that is unknown or repeated is refused like an unknown member.

    The query has only texts; those of a number's or boolean's field become what they spell, so that one kind of field
    serves for both and a body's ``"1"`` is still no integer.
    """

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": None}  # noqa: RUF012  # as there

    def parse(self, argmap: Any, req: Request | None = None, **kwargs: Any) -> Any:
        # Clients send the same few queries, and to parse one takes a twentieth of a list's processor time.
        if kwargs.get("location") == "query" and len(flask.request.query_string) <= CACHED_QUERY_LENGTH:
            return dict(self._parse_once(argmap, flask.request.query_string, **kwargs))
        return super().parse(argmap, req, **kwargs)

    @lru_cache(maxsize=1024)  # noqa: B019  # one parser serves the whole process
    def _parse_once(self, argmap: Any, query: bytes, **kwargs: Any) -> Any:
        return super().parse(argmap, **kwargs)

    def load_json(self, req: Request, schema: marshmallow.Schema) -> Any:
        return json_body()

    def load_querystring(self, req: Request, schema: marshmallow.Schema) -> Any:
        given = req.args.to_dict(flat=False)
        if repeated := {name: ["Given more than once."] for name, values in given.items() if len(values) > 1}:
            raise marshmallow.ValidationError(repeated)
        by_name = {field.data_key: field for field in schema.load_fields.values()} if given else {}
        return {name: _typed(value, by_name.get(name)) for name, [value] in given.items()}

    def handle_error(self, error: marshmallow.ValidationError, *args: Any, **kwargs: Any) -> NoReturn:
        [messages] = error.messages_dict.values()  # under the one location
        raise validation_failed(messages) from error


def _typed(value: Any, field: marshmallow.fields.Field[Any] | None) -> Any:
    if isinstance(field, marshmallow.fields.Boolean):
        return {"true": True, "false": False}.get(value, value)
    if isinstance(field, marshmallow.fields.Integer) and _INTEGER.fullmatch(value):
        return int(value)
    if isinstance(field, marshmallow.fields.Float) and _NUMBER.fullmatch(value):
        return float(value)
    return value


class Blueprint(_Blueprint):
    """A blueprint of operations.

    :param tag: what groups its operations in the documentation; its name when absent.
    """

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, name: str, import_name: str, *, tag: str | None = None) -> None:
        super().__init__(name, import_name)
        self.tag = str(tag or name)

    def route(self, rule: str, **options: Any) -> Callable[[Any], Any]:
        """Add an operation under this blueprint's tag."""
        return super().route(rule, tags=[self.tag], **options)

    def arguments(
        self, schema: Any, *, location: str = "json", required: bool | None = None, **kwargs: Any
    ) -> Callable[[Any], Any]:
        """Load a schema from the body, the query or the headers, and pass the result to the view.

        A body that is not sent is ``{}``: it is documented as required where one of the schema's fields is.
        """
        instance = resolve_schema_instance(schema)  # once, and not as webargs does it for each request
        if required is None:
            required = any(field.required for field in instance.load_fields.values())
        return super().arguments(instance, location=location, required=required, **kwargs)

    def response(self, status_code: int, schema: Any = None, **kwargs: Any) -> Callable[[Any], Any]:
        """Document an answer, and write the plain values that the view returns, with headers or a status if it does.

        Each member of a schema is documented as required, for typed clients, unless its ``SOMETIMES_ABSENT`` names it.
        """
        if is_schema(schema):
            schema = _always_present(resolve_schema_instance(schema))
        document = super().response(status_code, schema, **kwargs)

        def decorate(view: Callable[..., Any]) -> Any:
            @wraps(view)
            def answer(*args: Any, **values: Any) -> Response:
                returned = view(*args, **values)
                if isinstance(returned, Response):
                    return returned
                response = make_response("" if returned is None else returned)
                if response.status_code == HTTPStatus.OK:  # the view returned none of its own
                    response.status_code = status_code
                return response

            return document(answer)

        return decorate


def is_schema(schema: Any) -> bool:
    """Return whether a schema is a marshmallow schema or its class, and not a dictionary."""
    return isinstance(schema, marshmallow.Schema) or (
        isinstance(schema, type) and issubclass(schema, marshmallow.Schema)
    )


def _always_present(schema: marshmallow.Schema) -> marshmallow.Schema:
    absent = getattr(schema, "SOMETIMES_ABSENT", ())
    for name, field in schema.fields.items():
        field.required = name not in absent
        inner = field.inner if isinstance(field, marshmallow.fields.List) else field
        if isinstance(inner, marshmallow.fields.Nested):
            _always_present(inner.schema)
    return schema


class OperationPlugin(FlaskPlugin):  # type: ignore[misc]  # flask-smorest has no types
    """Document what follows from the declarations of an operation: its permission, its errors, its path."""

    def __init__(self, app: Flask) -> None:
        super().__init__()
        self._app = app

    def rule_to_params(self, rule: Rule) -> list[dict[str, Any]]:
        # On the wire, parameters of a path are named in camelCase; in the routes they are Python's.
        return [{**parameter, "name": camel_case(parameter["name"])} for parameter in super().rule_to_params(rule)]

    def path_helper(self, rule: Rule, *args: Any, **kwargs: Any) -> str:
        path: str = super().path_helper(rule, *args, **kwargs)
        return re.sub(r"{(\w+)}", lambda match: f"{{{camel_case(match[1])}}}", path)

    def operation_helper(self, *, operations: dict[str, Any], rule: Rule, **kwargs: Any) -> None:
        view = self._app.view_functions[rule.endpoint]
        access = access_of(view)
        for operation in operations.values():
            operation["security"] = []
            secured = access is not None and access.permission is not None
            if access is not None and access.permission is not None:
                operation["security"] = [{SECURITY_SCHEME: []}, *([{CONTROL_SCHEME: []}] if access.by_control else [])]
                operation["x-permission"] = str(access.permission)
                or_control = ", or the `control` of a moderator of this meeting" if access.by_control else ""
                described = [operation.get("description"), f"Permission: `{access.permission}`{or_control}"]
                operation["description"] = "\n\n".join(filter(None, described))
            failures.document(operation, failures.errors_of(view, operation, rule.arguments, secured=secured))


class Api(flask_smorest.Api):  # type: ignore[misc]  # flask-smorest has no types
    """The API object. Documents errors as problem details; :mod:`.problems` writes them."""

    ERROR_SCHEMA = ProblemSchema

    def __init__(self, app: Flask) -> None:
        plugins = {
            "flask_plugin": OperationPlugin(app),
            "marshmallow_plugin": MarshmallowPlugin(schema_name_resolver=schema_name),  # type: ignore[arg-type]  # or None
        }
        super().__init__(app, spec_kwargs=plugins)
        # These take the place of flask-smorest's, which document errors as application/json.
        problem = {failures.PROBLEM_TYPE: {"schema": self.ERROR_SCHEMA}}
        for status in HTTPStatus:
            content = {"content": problem} if status >= HTTPStatus.BAD_REQUEST else {}
            self.spec.components.response(status.name, {"description": status.phrase, **content}, lazy=True)
        name = self.DEFAULT_ERROR_RESPONSE_NAME
        self.spec.components.response(name, {"description": "Any other error", "content": problem}, lazy=True)
        self.spec.components.schemas["Problem"]["properties"].update(failures.further_members())
        failures.document_examples(self.spec, failures.every_error())


def schema_name(schema: Any) -> str | None:
    """Name a schema by its class without ``Schema``; one made with ``only=`` and the like is written in place."""
    instance = resolve_schema_instance(schema)
    # flask-smorest documents a header of its own for pages, which no operation uses: ours is LIST_HEADERS.
    if isinstance(instance, PaginationMetadataSchema) or any(getattr(instance, modifier) for modifier in MODIFIERS):
        return None
    return type(instance).__name__.removesuffix("Schema")
