"""Every operation of the served OpenAPI document against everything that may be wrong with a request.

Nothing here is a list of operations: a new one is tested as soon as it is served. What cannot be derived from the
document stands in two tables, and an operation that they lack fails: :data:`PATH_VALUES`, how the id of each path
parameter comes to be, and :data:`EXAMPLES`, for operations that need more than these ids to succeed.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import jwt
import pytest
from cryptography.fernet import Fernet
from openapi_schema_validator import OAS31Validator, oas31_format_checker

from tests.contract.things import EXAMPLES, PATH_VALUES, Example, Things, wrong_values
from tests.support.databases import DATABASES
from tests.support.documented_errors import check_errors
from tests.support.service import Answer, Caller, Service, service_of
from tests.support.settings import ALL_PERMISSIONS, FAKE_SETTINGS, JWT_SECRET
from videoconf.api.openapi import openapi_document
from videoconf.api.permissions import Permission
from videoconf.api.services import services
from videoconf.app import create_app
from videoconf.db.types import db
from videoconf.settings import Secret, Settings

METHODS = ("get", "put", "post", "patch", "delete")
DOCUMENT = openapi_document(create_app(Settings(providers=("fake",)), serving=False))


# --- the operations -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Operation:
    """One operation, as the document describes it."""

    method: str
    path: str
    described: dict[str, Any]
    path_parameters: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def id(self) -> str:
        return str(self.described["operationId"])

    @property
    def permission(self) -> str | None:
        return self.described.get("x-permission")

    @property
    def successes(self) -> set[int]:
        return {int(status) for status in self.described["responses"] if status.startswith("2")}

    @property
    def query(self) -> dict[str, dict[str, Any]]:
        found = self.described.get("parameters", [])
        return {one["name"]: resolved(one["schema"]) for one in found if one["in"] == "query"}

    @property
    def body(self) -> dict[str, Any] | None:
        """The schema of the body, of several that of the example; None where none is read."""
        if "requestBody" not in self.described:
            return None
        schema = resolved(self.described["requestBody"]["content"]["application/json"]["schema"])
        if "oneOf" in schema:
            chosen = schema["discriminator"]["mapping"][self.example.body["name"]]
            return resolved({"$ref": chosen})
        return schema

    @property
    def example(self) -> "Example":
        return EXAMPLES.get(self.id, Example())

    def texts(self) -> dict[str, int | None]:
        """The members of the body that may be any text, and how long they may be."""
        return {
            name: schema.get("maxLength")
            for name, schema in (self.body or {}).get("properties", {}).items()
            if "string" in schema.get("type", ()) and not schema.keys() & {"format", "enum"}
        }


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return dict(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    return schema


OPERATIONS = [
    Operation(
        method.upper(),
        path,
        methods[method],
        tuple(one["name"] for one in methods.get("parameters", ()) if one["in"] == "path"),
    )
    for path, methods in DOCUMENT["paths"].items()
    for method in METHODS
    if method in methods
]
SECURED = [one for one in OPERATIONS if one.permission]
WITH_IDS = [one for one in SECURED if one.path_parameters]
WITH_BODY = [one for one in OPERATIONS if "requestBody" in one.described]
WITHOUT_BODY = [one for one in SECURED if "requestBody" not in one.described]
WITH_QUERY = [one for one in OPERATIONS if one.query]


def every(operations):
    return pytest.mark.parametrize("operation", operations, ids=str)


# --- the service ---------------------------------------------------------------------------------------------------


def filled(operation: Operation, things: Things, **replaced: str) -> str:
    """Give the path with ids that exist; ``replaced`` ones are taken as they are."""
    unknown = set(operation.path_parameters) - PATH_VALUES.keys()
    assert not unknown, f"PATH_VALUES must say how {unknown} comes to be"
    values = {
        name: replaced[name] if name in replaced else quote(PATH_VALUES[name](things), safe="")
        for name in operation.path_parameters
    }
    return operation.path.format_map(values)


@pytest.fixture(scope="module", params=DATABASES)
def service(request, headers, create_database) -> Iterator[Service]:
    url = create_database(request.param)
    with pytest.MonkeyPatch.context() as patch:
        # Downloads from the provider are by URLs that these tests never open.
        for name, value in {**FAKE_SETTINGS, "VIDEOCONF_FAKE_MEDIA_URL": "http://127.0.0.1:1"}.items():
            patch.setenv(name, value)
        settings = Settings(
            providers=("fake",),
            database_url=Secret(url),
            jwt_secrets=(Secret(JWT_SECRET),),
            encryption_keys=(Secret(Fernet.generate_key().decode()),),
            embedded_workers=0,
            rate_limit_address="",  # requests are refused often here, and all come from one address
        )
        app = create_app(settings)
    app.testing = True
    check_errors(app)
    yield service_of(app, headers)
    services(app).refusals.close()
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def things(service) -> Things:
    return Things(service)


@pytest.fixture
def call(service):
    """Send a request to an operation; a bug fails the test, and so does an error of another shape."""

    def call(
        operation: Operation, path: str, body: Any = None, *, caller: Caller | None = None, **headers: str
    ) -> Answer:
        if operation.example.query and "?" not in path:
            path = f"{path}?{operation.example.query}"
        answer = (caller or service.api)(operation.method, path, body, **headers)
        assert answer.status < 500, answer
        assert answer.headers["X-Request-ID"]
        if answer.status >= 400:
            assert answer.problem
        return answer

    return call


def refused(operation: Operation, answer: Answer, status: int, code: str | None = None) -> None:
    """Check an error, and that the document tells of it."""
    assert answer.problem == (status, code or answer.json["code"]), answer
    assert str(status) in operation.described["responses"], f"{operation} does not document {status}"


# --- who may call ---------------------------------------------------------------------------------------------------


def test_documented_permissions_are_the_existing_ones():
    asked = {operation.permission for operation in SECURED}
    assert asked <= set(Permission)
    assert set(ALL_PERMISSIONS) == set(Permission), "the tests' tokens carry every permission"


def test_operation_ids_are_unique():
    ids = [operation.id for operation in OPERATIONS]
    assert len(ids) == len(set(ids))


@every(SECURED)
def test_request_with_only_its_permission_succeeds(service, things, call, operation):
    path = filled(operation, things)
    operation.example.prepare(things)
    answer = call(operation, path, operation.example.body, caller=service.caller_with([operation.permission]))
    assert answer.status in operation.successes, f"EXAMPLES may lack what {operation.id} needs: {answer}"
    content = operation.described["responses"][str(answer.status)].get("content", {})
    media = content.get(answer.headers.get("Content-Type", "").partition(";")[0])
    assert media or not answer.body, f"{operation} does not document its answer's type"
    if media and "json" in answer.headers["Content-Type"]:
        schema = {**media["schema"], "components": DOCUMENT["components"]}
        OAS31Validator(schema, format_checker=oas31_format_checker).validate(answer.json)


def tokens() -> dict[str, str]:
    now = int(time.time())
    good: dict[str, Any] = {
        "sub": "tester",
        "iat": now,
        "exp": now + 3600,
        "iss": "videoconf",
        "aud": "videoconf",
        "permissions": list(ALL_PERMISSIONS),
    }

    def signed(secret: str = JWT_SECRET, algorithm: str | None = "HS256", **claims: Any) -> str:
        return jwt.encode({**good, **claims}, secret if algorithm else None, algorithm or "none")

    return {
        "none at all": "",
        "expired": f"Bearer {signed(iat=now - 7200, exp=now - 3600)}",
        "of another issuer": f"Bearer {signed(iss='other')}",
        "for another audience": f"Bearer {signed(aud='other')}",
        "signed with another secret": f"Bearer {signed(secret='another secret, of 32 bytes or more')}",
        "not signed": f"Bearer {signed(algorithm=None)}",
        "garbage": "Bearer tops3cret",
        "of another scheme": "Basic dGVzdGVyOnRvcHMzY3JldA==",
    }


@every(SECURED)
@pytest.mark.parametrize("kind", tokens())
def test_invalid_token_is_refused_before_any_lookup(service, things, call, operation, kind):
    token = tokens()[kind]
    caller = Caller(service.send, {"Authorization": token} if token else {})
    unknown = dict.fromkeys(operation.path_parameters, "unknown")
    for path, body in ((filled(operation, things), None), (filled(operation, things, **unknown), b"{")):
        answer = call(operation, path, body, caller=caller, Content_Type="text/plain")
        refused(operation, answer, 401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert b"tops3cret" not in answer.body


@every(SECURED)
def test_all_other_permissions_are_not_enough(service, things, call, operation):
    others = [one for one in ALL_PERMISSIONS if one != operation.permission]
    unknown = dict.fromkeys(operation.path_parameters, "unknown")
    for path, body in ((filled(operation, things), None), (filled(operation, things, **unknown), b"{")):
        answer = call(operation, path, body, caller=service.caller_with(others), Content_Type="text/plain")
        refused(operation, answer, 403, "forbidden")


@every([one for one in WITH_IDS if one.permission != Permission.MANAGE_OPERATIONS])  # jobs are the whole service's
def test_another_tenants_id_answers_as_an_unknown_one(service, things, call, operation):
    body = operation.example.body
    stranger = service.caller_with(tenant="other")
    answers = [
        call(operation, filled(operation, things, **replaced), body, caller=stranger)
        for replaced in ({}, dict.fromkeys(operation.path_parameters, "unknown"))
    ]
    for answer in answers:
        refused(operation, answer, 404)
    theirs, unknown = ({**answer.json, "requestId": None} for answer in answers)
    assert theirs == unknown


@every([one for one in SECURED if one.method == "GET" and not one.path_parameters])
def test_a_list_holds_nothing_of_another_tenant(service, things, call, operation):
    known = call(operation, operation.path).body
    answer = call(operation, operation.path, caller=service.caller_with(tenant="other"))
    assert things.link.encode() not in answer.body
    if things.link.encode() in known:
        assert answer.json in ([], {"count": 0, "items": []})


@every(WITH_IDS)
@pytest.mark.parametrize(
    "id",
    ["unknown", "", "%00", "%0A", "%ED%A0%80", "%F0%9F%98%80", "%2F", "..", "%25", "x" * 255, "x" * 256, "' OR 1=1"],
)
def test_malformed_id_answers_404(things, call, operation, id):
    for name in operation.path_parameters:
        answer = call(operation, filled(operation, things, **{name: id}), operation.example.body)
        if id == "" and answer.status == 200:  # a trailing slash: the list of such things
            assert operation.method == "GET"
            assert answer.body == call(operation, filled(operation, things, **{name: ""}).rstrip("/")).body
        elif id in ("", "..", "%2F"):  # these make another path
            assert answer.status in (404, 405)
        else:
            refused(operation, answer, 404)


# --- moderators who came by an invitation -----------------------------------------------------------------------------

BY_CONTROL = {
    "VideoChatSessionController.endSession",
    "VideoChatSessionController.disconnectAttendee",
    "VideoChatSessionController.muteAttendee",
    "VideoChatSessionController.muteMeeting",
    "DoorController.getLobby",
    "DoorController.answerLobby",
    "DoorController.banAttendee",
    "DoorController.getBans",
    "DoorController.liftBan",
}
"""All that a control allows."""


@every(SECURED)
def test_control_acts_only_on_its_own_meeting(service, things, call, operation):
    other = Things(service)
    mine, theirs = filled(operation, things), filled(operation, other)
    operation.example.prepare(things)
    moderator = Caller(service.send, {"Authorization": f"Control {things.control()}"})
    documented = {"control": []} in operation.described["security"]
    assert documented == (operation.id in BY_CONTROL)
    if not documented:
        refused(operation, call(operation, mine, operation.example.body, caller=moderator), 401, "unauthenticated")
        return
    refused(operation, call(operation, theirs, operation.example.body, caller=moderator), 404, "meeting_not_found")
    assert call(operation, mine, operation.example.body, caller=moderator).status in operation.successes


@every([one for one in SECURED if one.id in BY_CONTROL])
def test_invalid_control_is_refused(service, things, call, operation):
    path = filled(operation, things)
    seat = things.service.stranger("POST", "/join", {"code": things.invitation()["url"].partition("#")[2]}).json["seat"]
    for sent in ("", "x" * 32, "x" * 300, seat, f"{seat} {seat}", "%00", "\u00e9"):
        caller = Caller(service.send, {"Authorization": f"Control {sent}"})
        refused(operation, call(operation, path, operation.example.body, caller=caller), 401, "unauthenticated")


# --- what may be sent -----------------------------------------------------------------------------------------------


BODIES = {
    "half an object": (b"{", 400),
    "not UTF-8": (b'{"a": "\xff"}', 400),
    "a byte order mark": (b"\xef\xbb\xbf{}", 400),
    "NUL": (b'{"a": "\\u0000"}', 400),
    "a NUL in a name": (b'{"a\\u0000": 1}', 400),
    "a raw NUL": (b'{"a": "\x00"}', 400),
    "half a surrogate pair": (b'{"a": "\\ud83d"}', 400),
    "NaN": (b'{"a": NaN}', 400),
    "a number beyond floats": (b'{"a": 1e999}', 400),
    "a number beyond 64 bits": (b'{"a": 99999999999999999999}', 400),
    "a name given twice": (b'{"a": 1, "a": 2}', 400),
    "33 levels": (b'{"a": ' + b"[" * 32 + b"]" * 32 + b"}", 400),
    "5000 levels": (b"[" * 5000, 400),
    "1001 names": (json.dumps(dict.fromkeys(map(str, range(1001)))).encode(), 400),
    "over 64 KiB": (b'{"a": "' + b"x" * 65_536 + b'"}', 413),
    "a list": (b"[]", 422),
    "null": (b"null", 422),
    "a text": (b'"text"', 422),
    "a number": (b"1", 422),
    "an unknown member": (b'{"noSuchMember": 1}', 422),
}


@every(WITH_BODY)
@pytest.mark.parametrize("kind", BODIES)
def test_unusable_body_is_refused(things, call, operation, kind):
    body, status = BODIES[kind]
    answer = call(operation, filled(operation, things), body, Content_Type="application/json")
    refused(operation, answer, status)
    if kind == "an unknown member" and operation.example.body is None:
        assert "noSuchMember" in answer.wrong


@every(WITH_BODY)
@pytest.mark.parametrize("media_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/xml"])
def test_body_not_declared_as_json_answers_415(things, call, operation, media_type):
    answer = call(operation, filled(operation, things), b"{}", Content_Type=media_type)
    refused(operation, answer, 415, "unsupported_media_type")


@every(WITH_BODY)
def test_a_member_of_another_type_is_refused_by_name(things, call, operation):
    path = filled(operation, things)
    for name, schema in operation.body.get("properties", {}).items():
        wrong = {"of": "another type"} if "array" in schema.get("type", ()) else ["of another type"]
        answer = call(operation, path, {**(operation.example.body or {}), name: wrong})
        refused(operation, answer, 422, "validation_failed")
        assert name in answer.wrong


@every(WITH_BODY)
def test_a_text_that_is_too_long_is_refused_by_name(things, call, operation):
    path = filled(operation, things)
    for name, longest in operation.texts().items():
        if longest is None:
            continue
        answer = call(operation, path, {**(operation.example.body or {}), name: "x" * (longest + 1)})
        refused(operation, answer, 422, "validation_failed")
        assert name in answer.wrong


@every(WITH_BODY)
@pytest.mark.parametrize("text", ["😀", "e\u0301", "\u202eabc", "' OR 1=1 --", "%s{}${7*7}", "\ufeff", " "])
def test_any_string_is_accepted_or_refused(things, call, operation, text):
    path = filled(operation, things)
    for name in operation.texts():
        call(operation, path, {**(operation.example.body or {}), name: text})


@every(WITHOUT_BODY)
def test_unread_body_does_not_change_the_answer(things, call, operation):
    unknown = dict.fromkeys(operation.path_parameters, "unknown")
    path = filled(operation, things, **unknown)
    operation.example.prepare(things)
    expected = call(operation, path).status
    for body in (b"{", b"\x00\xff", b"x" * 70_000):
        operation.example.prepare(things)
        assert call(operation, path, body, Content_Type="application/json").status in (expected, 413)


@every([one for one in WITH_QUERY if any("example" in schema for schema in one.query.values())])
def test_examples_of_a_query_work_together(things, call, operation):
    """The documentation page sends all of them, as they stand."""
    operation.example.prepare(things)
    examples = {name: str(schema["example"]) for name, schema in operation.query.items() if "example" in schema}
    answer = call(operation, f"{filled(operation, things)}?{urlencode(examples)}")
    assert answer.status in {*operation.successes, 404}, answer


@every(WITH_QUERY)
def test_invalid_parameter_is_refused_by_name(things, call, operation):
    path = filled(operation, things)
    for name, schema in operation.query.items():
        for value in wrong_values(schema):
            answer = call(operation, f"{path}?{name}={value}")
            assert answer.status == 422, f"{name}={value}"
            refused(operation, answer, 422, "validation_failed")
            assert name in answer.wrong, f"{name}={value}"
        for value in ("%ED%A0%80", "%FF", "%F0%9F%98%80"):
            call(operation, f"{path}?{name}={value}")


@every(WITH_QUERY)
def test_a_parameter_that_is_unknown_or_repeated_is_refused(things, call, operation):
    path = filled(operation, things)
    refused(operation, call(operation, f"{path}?noSuchParameter=1"), 422, "validation_failed")
    name = next(iter(operation.query))
    answer = call(operation, f"{path}?{name}=1&{name}=1")
    assert name in answer.wrong


@every([one for one in WITH_QUERY if "pageSize" in one.query])
def test_a_page_beyond_the_last_is_empty(things, call, operation):
    answer = call(operation, f"{filled(operation, things)}?page=100&pageSize=100")
    assert answer.status == 200
    assert answer.json == [] or answer.json["items"] == []


# --- public ones ----------------------------------------------------------------------------------------------------


@every([one for one in OPERATIONS if not one.permission])
def test_public_operation_needs_no_token_and_checks_its_input(service, things, call, operation):
    path = filled(operation, things)
    for body in (None, b"{", b"\x00", b'{"a": "\\ud800"}', b"x" * 300_000):
        answer = call(operation, path, body, caller=service.stranger, Content_Type="application/json")
        if operation.method == "GET":
            assert answer.status in operation.successes
        elif "webhook" in operation.path:
            assert answer.problem in ((401, "webhook_rejected"), (413, "payload_too_large"))
        else:
            refused(operation, answer, 422 if body is None else 413 if len(body) > 65_536 else 400)
    for name in operation.path_parameters:
        for id in ("unknown", "%00", "%ED%A0%80"):
            replaced = filled(operation, things, **{name: id})
            refused(operation, call(operation, replaced, b"{}", caller=service.stranger), 404)
