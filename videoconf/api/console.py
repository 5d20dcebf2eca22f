"""The console: a page for people who run meetings. It is a static client of the API and sees what its token may see."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from werkzeug.exceptions import NotFound

import videoconf
from videoconf.api.authentication import public
from videoconf.api.pages import page_file, page_policy
from videoconf.api.permissions import Permission
from videoconf.api.services import services

blueprint = Blueprint("console", __name__)


@blueprint.route("/console")
@public("a page without data")
def page() -> Response:
    _refuse_unless_enabled()
    return page_file("console/index.html", page_policy())


@blueprint.route("/console/settings.json")
@public("what the page must know before it has a token; nothing that `/openapi.json` and `/readyz` do not show")
def settings() -> dict[str, Any]:
    """Return how to read a token's claims and what each provider supports, so that the page offers only that."""
    _refuse_unless_enabled()
    parts = services()
    chosen = parts.settings
    is_open = chosen.auth == "disabled" and chosen.development
    return {
        "version": videoconf.__version__,
        "development": chosen.development,
        "authentication": "disabled" if is_open else "jwt",
        "subjectClaims": chosen.jwt_subject_claim,
        "permissionsClaims": chosen.jwt_permissions_claim,
        "permissionsPrefix": chosen.jwt_permissions_prefix,
        # Not the groups themselves, which may be addresses of people.
        "hasPermissionGroups": bool(chosen.jwt_permission_groups),
        "tenantClaim": chosen.jwt_tenant_claim,
        "defaultTenant": chosen.default_tenant,
        "permissions": list(Permission),
        "providers": {
            provider.key: {
                "features": sorted(provider.capabilities.features),
                "roles": sorted(provider.capabilities.roles),
            }
            for provider in parts.providers
        },
    }


def _refuse_unless_enabled() -> None:
    if not services().settings.console:
        raise NotFound
