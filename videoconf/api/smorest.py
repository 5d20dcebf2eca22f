'''The blueprints and the API object that all resources use: flask-smorest with a strict parser and problem documents.

A resource is a module with one blueprint and plain functions::

    blueprint = Blueprint("meetings", __name__, tag="VideoChatSessionController")


    class MeetingQuery(PageArgs):
        ext_id = Text(max_length=255)


    @blueprint.route("/session", methods=["GET"])
    @requires(Permission.GET_MEETINGS)
    @blueprint.doc(operationId="VideoChatSessionController.getMeetings")
    @blueprint.arguments(MeetingQuery, location="query")
    @blueprint.response(200, MeetingSchema(many=True), headers=PAGE_HEADERS)
    def get_meetings(query: dict[str, Any]) -> Any:
        """List the meetings, newest first."""
        found, total = services().meetings.list(caller(), query["page"], query["page_size"])
        return found, page_headers(query["page"], query["page_size"], total)


    @blueprint.route("/session/<meeting_link>", methods=["PATCH"])
    @requires(Permission.EDIT_MEETING)
    @blueprint.doc(operationId="VideoChatSessionController.editMeeting")
    @blueprint.arguments(MeetingEditSchema)
    @blueprint.response(204)
    def edit_meeting(changes: dict[str, Any], meeting_link: str) -> None:
        """Edit the meeting."""
        services().meetings.edit(caller(), meeting_link, changes)

What :meth:`Blueprint.arguments` loads comes before the path's parameters. The permission, the errors of parsing and
authentication, and 404 where the path has a parameter document themselves.
'''

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn

import flask
import flask_smorest
import marshmallow
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.common import MODIFIERS, resolve_schema_instance
from flask import Request
from flask_smorest.spec import FlaskPlugin
from webargs.flaskparser import FlaskParser
from werkzeug.routing import Rule

from videoconf.api.authentication import access_of
from videoconf.api.json_body import json_body
from videoconf.api.pagination import PAGE_HEADERS, PageArgs, page_headers
from videoconf.api.problems import CONTENT_TYPE, ProblemSchema, validation_failed
from videoconf.formats import camel_case

__all__ = ["PAGE_HEADERS", "Api", "Blueprint", "PageArgs", "StrictParser", "page_headers"]

SECURITY_SCHEME = "bearerAuth"

_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18})?", re.ASCII)


if TYPE_CHECKING:

    class _Blueprint(flask.Blueprint):
        """What is used of flask-smorest's blueprint, which has no type annotations."""

        _docs: dict[str, dict[str, Any]]
        _endpoints: list[str]

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

    def parse(self, argmap: Any, req: Request | None = None, *, location: str | None = None, **options: Any) -> Any:
        if location != "query":
            return super().parse(argmap, req, location=location, **options)
        return dict(self._parse_query(argmap, flask.request.query_string))

    # Callers ask for few pages, again and again; what a query means depends on nothing else.
    @lru_cache(maxsize=256)  # noqa: B019  # all blueprints share one parser
    def _parse_query(self, schema: marshmallow.Schema, query: bytes) -> Mapping[str, Any]:
        parsed: Mapping[str, Any] = super().parse(schema, location="query")
        return parsed

    def load_json(self, req: Request, schema: marshmallow.Schema) -> Any:
        return json_body()

    def load_querystring(self, req: Request, schema: marshmallow.Schema) -> Any:
        proxy = super().load_querystring(req, schema)
        repeated = {
            name: ["Given more than once."]
            for name, values in req.args.lists()
            if len(values) > 1 and name not in proxy.multiple_keys
        }
        if repeated:
            raise marshmallow.ValidationError(repeated)
        spelt = {field.data_key: field for field in schema.load_fields.values()}
        return {name: _spelt(proxy[name], spelt.get(name)) for name in proxy}

    def handle_error(self, error: marshmallow.ValidationError, *args: Any, **kwargs: Any) -> NoReturn:
        [messages] = error.messages_dict.values()  # under the one location
        raise validation_failed(messages) from error


def _spelt(value: Any, field: marshmallow.fields.Field[Any] | None) -> Any:
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

    def __init__(self, name: str, import_name: str, *, tag: str | None = None, **kwargs: Any) -> None:
        super().__init__(name, import_name, **kwargs)
        self._tag = str(tag or name)

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

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: Any = None,
        provide_automatic_options: bool | None = None,
        *,
        parameters: list[Any] | None = None,
        tags: list[str] | None = None,
        **options: Any,
    ) -> None:
        super().add_url_rule(
            rule,
            endpoint,
            view_func,
            provide_automatic_options,
            parameters=parameters,
            tags=tags or [self._tag],
            **options,
        )
        for method, documented in self._docs[self._endpoints[-1]].items():
            if method != "parameters":
                _document(documented, rule, view_func)


def _document(documented: dict[str, Any], rule: str, view: Callable[..., Any]) -> None:
    """Add to an operation's documentation what follows from its declarations."""
    manual: dict[str, Any] = documented.setdefault("manual_doc", {})
    statuses: list[HTTPStatus] = []
    access = access_of(view)
    if access is not None and access.permission is not None:
        statuses += [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN]
        manual["security"] = [{SECURITY_SCHEME: []}]
        manual["x-permission"] = str(access.permission)
        described = manual.get("description") or documented["docstring"].get("description")
        manual["description"] = "\n\n".join(filter(None, [described, f"Permission: `{access.permission}`"]))
    else:
        manual["security"] = []
    if any(parameter["in"] == "json" for parameter in documented.get("arguments", {}).get("parameters", [])):
        statuses += [
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        ]
    if "<" in rule:
        statuses.append(HTTPStatus.NOT_FOUND)
    own: Mapping[Any, Any] = documented.get("response", {}).get("responses", {})
    errors = {status.value: status.name for status in statuses if status.value not in own}
    manual["responses"] = errors | manual.get("responses", {})


class _PathPlugin(FlaskPlugin):  # type: ignore[misc]  # flask-smorest has no types
    """Documents a path's parameters in the wire's spelling; their names are Python's only in the routes."""

    def rule_to_params(self, rule: Rule) -> list[dict[str, Any]]:
        return [{**parameter, "name": camel_case(parameter["name"])} for parameter in super().rule_to_params(rule)]

    def path_helper(self, rule: Rule, *args: Any, **kwargs: Any) -> str:
        path: str = super().path_helper(rule, *args, **kwargs)
        return re.sub(r"{(\w+)}", lambda match: f"{{{camel_case(match[1])}}}", path)


class Api(flask_smorest.Api):  # type: ignore[misc]  # the same
    """The API object: errors are documented as the problems that they are. Answering them is :mod:`.problems`' work."""

    ERROR_SCHEMA = ProblemSchema

    def _init_spec(self, **options: Any) -> None:
        options.setdefault("flask_plugin", _PathPlugin())
        # apispec declares that the resolver gives a text, and takes None as well: the schema is written in place.
        options.setdefault("marshmallow_plugin", MarshmallowPlugin(schema_name_resolver=schema_name))  # type: ignore[arg-type]
        super()._init_spec(**options)

    def _register_error_handlers(self) -> None:
        pass

    def _register_pagination_header(self) -> None:
        pass  # its own is declared as an object, but sent as a text; ours is PAGE_HEADERS

    def _register_responses(self) -> None:
        problem = {CONTENT_TYPE: {"schema": self.ERROR_SCHEMA}}
        for status in HTTPStatus:
            content = {"content": problem} if status >= HTTPStatus.BAD_REQUEST else {}
            self.spec.components.response(status.name, {"description": status.phrase, **content}, lazy=True)
        name = self.DEFAULT_ERROR_RESPONSE_NAME
        self.spec.components.response(name, {"description": "Any other error", "content": problem}, lazy=True)


def schema_name(schema: Any) -> str | None:
    """Name a schema by its class without ``Schema``; one made with ``only=`` and the like is written in place."""
    instance = resolve_schema_instance(schema)
    if any(getattr(instance, modifier) for modifier in MODIFIERS):
        return None
    return type(instance).__name__.removesuffix("Schema")
