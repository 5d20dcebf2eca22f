"""Each operation needs its permission."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.unit.api.bearer_tokens import token
from videoconf.api.authentication import init_auth, public, requires, undeclared_routes
from videoconf.api.permissions import Permission
from videoconf.api.problems import register_problem_handlers
from videoconf.settings import Settings

OPERATIONS = {
    ("POST", "/things"): "CreateMeetingSession",
    ("GET", "/things"): "GetMeetings",
    ("DELETE", "/things/a"): "DeleteMeeting",
}


@pytest.mark.parametrize("operation", OPERATIONS, ids=" ".join)
def test_operation_needs_exactly_its_permission(client: FlaskClient, operation: tuple[str, str]) -> None:
    method, path = operation
    needed = OPERATIONS[operation]

    def answer(permissions: list[str]) -> Any:
        made = token(permissions=permissions)
        return client.open(path, method=method, headers={"Authorization": f"Bearer {made}"})

    assert answer([needed]).status_code in (200, 204)
    for permissions in ([], [str(other) for other in Permission if other != needed], [needed.lower()], [f"{needed} "]):
        refused = answer(permissions)
        assert (refused.status_code, refused.get_json(force=True)["code"]) == (403, "forbidden")
        assert needed in refused.get_json(force=True)["detail"]


def test_permissions_match_the_documentation() -> None:
    assert [str(permission) for permission in Permission] == [
        "CreateMeetingSession",
        "GetMeetings",
        "EditMeeting",
        "StopMeeting",
        "DeleteMeeting",
        "GenerateMeetingToken",
        "GetMeetingAttendees",
        "ModerateMeeting",
        "GetAuditEntries",
        "GetMeetingArchives",
        "DeleteMeetingArchive",
        "LiftLegalHold",
        "StartMeetingArchive",
        "StopMeetingArchive",
        "SetMeetingUploadTarget",
        "GetProviders",
        "GetEvents",
        "ManageEventSubscriptions",
        "GetWebhookEvents",
        "ManageOperations",
        "ManagePersons",
    ]


def test_unknown_permission_cannot_be_required() -> None:
    with pytest.raises(ValueError, match="GetMeeting"):
        requires("GetMeeting")


def test_authentication_comes_before_validation(client: FlaskClient) -> None:
    for headers, expected in (({}, 401), ({"Authorization": f"Bearer {token(permissions=[])}"}, 403)):
        response = client.post("/things", data=b"{", content_type="text/plain", headers=headers)
        assert response.status_code == expected


def test_webhook_and_options_need_no_token(client: FlaskClient) -> None:
    assert client.post("/hooks").status_code == 200
    assert client.options("/things").status_code == 200


def test_route_without_a_declaration_is_listed_and_answers_403(settings: Settings) -> None:
    shell = Flask("t")  # with its static route
    init_auth(shell, settings)
    register_problem_handlers(shell)
    shell.add_url_rule("/open", "open", lambda: {"secret": 1})
    shell.add_url_rule("/public", "public", public("a test")(lambda: {}))
    assert undeclared_routes(shell) == ["open /open"]
    response = shell.test_client().get("/open", headers={"Authorization": f"Bearer {token()}"})
    assert (response.status_code, response.get_json(force=True)["code"]) == (500, "internal")
    assert shell.test_client().get("/public").status_code == 200


def test_every_route_of_the_shell_is_declared(shell: Flask) -> None:
    assert undeclared_routes(shell) == []
