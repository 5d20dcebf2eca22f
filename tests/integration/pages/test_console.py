"""The console over HTTP: the page, what it must know before it has a token, and how it is switched off."""

import pytest

from tests.support.service import ON_SQLITE
from videoconf.api.permissions import Permission

pytestmark = ON_SQLITE
PATHS = ("/console", "/console/settings.json")


def test_page_has_a_strict_policy(client):
    answer = client.get("/console")
    assert (answer.status_code, answer.content_type) == (200, "text/html; charset=utf-8")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "Set-Cookie" not in answer.headers


def test_settings_say_how_to_read_a_token(make_app):
    app = make_app(
        jwt_permissions_claim=("realm.roles", "scope"),
        jwt_permissions_prefix="videoconf/",
        jwt_subject_claim=("sub", "azp"),
        jwt_permission_groups=("ada@example.com=*",),
        jwt_tenant_claim="org",
        default_tenant="north",
    )
    answer = app.test_client().get("/console/settings.json")
    found = answer.json
    assert (found["permissionsClaims"], found["permissionsPrefix"]) == (["realm.roles", "scope"], "videoconf/")
    assert (found["tenantClaim"], found["defaultTenant"], found["subjectClaims"]) == ("org", "north", ["sub", "azp"])
    assert found["hasPermissionGroups"] is True
    assert b"example.com" not in answer.data
    assert (found["authentication"], found["development"]) == ("jwt", False)
    assert found["permissions"] == list(Permission)


def test_settings_name_the_features_of_each_provider(client, preset):
    [(key, can)] = client.get("/console/settings.json").json["providers"].items()
    assert key in ("fake", "janus")
    assert "publisher" in can["roles"]
    assert can["features"] == sorted(can["features"])


@pytest.mark.parametrize(("development", "expected"), [(True, "disabled"), (False, None)])
def test_open_service_is_shown_only_in_development(make_app, development, expected):
    app = make_app(auth="disabled", development=development, serving=False)
    found = app.test_client().get("/console/settings.json").json
    assert found["authentication"] == (expected or "jwt")


@pytest.mark.parametrize("path", PATHS)
def test_console_that_is_switched_off_answers_404(make_app, path):
    assert make_app(console=False).test_client().get(path).status_code == 404


@pytest.mark.parametrize("path", PATHS)
def test_console_is_served_below_the_prefix(make_app, path):
    client = make_app(path_prefix="/video").test_client()
    assert client.get(f"/video{path}").status_code == 200
    assert client.get(path).status_code == 404
