"""The edge of the application: hooks around each request, and the routes."""

from __future__ import annotations

from functools import partial

from flask import Flask

from videoconf.api import (
    archives,
    attendees,
    audit,
    bans,
    console,
    docs,
    door,
    event_subscriptions,
    events,
    explanation,
    health,
    invitations,
    join_page,
    lobby,
    meetings,
    moderation,
    pages,
    persons,
    storage_target,
    webhook_events,
    webhooks,
)
from videoconf.api import attendance as attendance_api
from videoconf.api import jobs as jobs_api
from videoconf.api import providers as providers_api
from videoconf.api.authentication import init_auth, undeclared_routes
from videoconf.api.http import init_requests
from videoconf.api.openapi import complete_document, init_document
from videoconf.api.paths import init_paths
from videoconf.api.problems import register_problem_handlers
from videoconf.api.proxies import init_proxies
from videoconf.api.rate_limits import init_limits
from videoconf.api.refusals import init_refusals
from videoconf.api.request_log import init_access
from videoconf.api.slow_reads import init_slow_reads
from videoconf.api.tracing import init_tracing
from videoconf.door.control import find_control
from videoconf.observability.tracing import Tracing
from videoconf.settings import Settings
from videoconf.storage_targets.in_force import StorageTargets

RESOURCES = (
    meetings,
    archives,
    attendees,
    attendance_api,
    explanation,
    moderation,
    bans,
    invitations,
    door,
    lobby,
    storage_target,
    events,
    event_subscriptions,
    webhooks,
    webhook_events,
    audit,
    persons,
    jobs_api,
    providers_api,
    health,
)
"""Operations of the API, in the order in which they are documented."""
PAGES = (docs, pages, join_page, console)
"""What is served beside them and is not in the OpenAPI document."""


def init_edge(app: Flask, settings: Settings, targets: StorageTargets, tracing: Tracing | None) -> None:
    """Add the hooks, which run in this order, and the routes."""
    init_access(app, development=settings.development, log_actor=settings.log_actor)
    init_paths(app)
    init_proxies(app, settings)
    if tracing is not None:
        init_tracing(app, tracing)
    init_auth(app, settings, find_control, before_refusing=partial(init_limits, app, settings))
    init_slow_reads(app, settings)
    init_requests(app)
    register_problem_handlers(app)
    prefix = settings.path_prefix or None
    for module in (*RESOURCES, *PAGES):
        app.register_blueprint(module.blueprint, url_prefix=prefix)
    init_document(app, partial(complete_document, targets.kinds, settings.path_prefix))
    init_refusals(app, settings)
    if undeclared := undeclared_routes(app):
        raise AssertionError(f"routes that declare no permission: {', '.join(undeclared)}")
