"""``/webhooks``: webhooks of providers, verified over the raw bytes, acknowledged once stored and visible."""

from __future__ import annotations

from flask import Response, request

from videoconf.api.authentication import public
from videoconf.api.failures import DATABASE, fails_with
from videoconf.api.json_body import raw_body
from videoconf.api.openapi import Tag
from videoconf.api.services import services
from videoconf.api.smorest import Blueprint
from videoconf.errors import (
    MalformedRequest,
    PayloadTooLarge,
    ProviderError,
    ProviderNotFound,
    ProviderPluginError,
    WebhookRejected,
)
from videoconf.providers import ProviderPort, WebhookRequest
from videoconf.webhooks.receive import receive

blueprint = Blueprint("webhooks", __name__, tag=Tag.SESSIONS)


@blueprint.route("/webhooks/session", methods=["POST"])
@public("the default provider's signature")
@fails_with(WebhookRejected, MalformedRequest, PayloadTooLarge, ProviderError, ProviderPluginError, *DATABASE)
@blueprint.response(204)
@blueprint.doc(operationId=f"{Tag.SESSIONS}.checkWebhookPayload")
def receive_session_webhook() -> Response:
    """Take a session webhook of the default provider; the success is 204 whatever the provider."""
    return _receive(services().providers.default, "session", success_status=204)


@blueprint.route("/webhooks/<string:provider>/<string:channel>", methods=["POST"])
@public("that provider's signature")
@fails_with(WebhookRejected, MalformedRequest, PayloadTooLarge, ProviderError, ProviderPluginError, *DATABASE)
@blueprint.response(204)
@blueprint.doc(operationId=f"{Tag.SESSIONS}.receiveWebhook")
def receive_webhook(provider: str, channel: str) -> Response:
    """Take a webhook of a provider. The success is the status that the provider takes for one."""
    found = services().providers.find(provider)
    if found is None or channel not in found.capabilities.webhook_channels:
        raise ProviderNotFound
    return _receive(found, channel, success_status=found.capabilities.webhook_success_status)


def _receive(provider: ProviderPort, channel: str, *, success_status: int) -> Response:
    parts = services()
    query = f"?{request.query_string.decode('latin-1')}" if request.query_string else ""
    webhook = WebhookRequest(
        channel=channel,
        method=request.method,
        url=f"{parts.settings.public_url}{request.path}{query}",
        headers={name.lower(): value for name, value in request.headers},
        body=raw_body(),
        received_at=parts.clock(),
    )
    reply = receive(provider, webhook, parts.refusals.note)
    if reply is not None:
        return Response(reply.body, reply.status, content_type=reply.content_type)
    return Response(status=success_status)
