"""``/providers``: what is enabled, what it can do, and whether it works."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from videoconf.api.authentication import requires
from videoconf.api.described_providers import describe_providers
from videoconf.api.fields import Schema, UtcTime, documented
from videoconf.api.openapi import Tag
from videoconf.api.permissions import Permission
from videoconf.api.services import services
from videoconf.api.smorest import Blueprint

blueprint = Blueprint("providers", __name__, tag=Tag.OPERATIONS)


class CapabilitiesSchema(Schema):
    """What a provider can do with its settings."""

    features = fields.List(fields.String(), metadata=documented("Capabilities by name.", ["archiving", "moderation"]))
    roles = fields.List(fields.String(), metadata=documented("Roles that a token can carry."))
    session_creation = fields.String(metadata=documented("When a room is made: `eager`, `just_in_time`."))
    idempotent_create = fields.Boolean(metadata=documented("A create that is repeated makes no second room."))
    max_token_ttl_seconds = fields.Integer(metadata=documented("Longest life of a meeting token."))
    max_data_characters = fields.Integer(metadata=documented("Longest `data` of a meeting token."))
    webhook_authentication = fields.String(metadata=documented("`signed`, `shared_secret`, `none`."))
    webhook_channels = fields.List(fields.String(), metadata=documented("Webhooks to register."))
    event_ids = fields.Boolean(metadata=documented("Webhooks carry ids of the provider's own."))
    retry_horizon_seconds = fields.Integer(metadata=documented("How long a webhook that was not taken is repeated."))
    repeats_refused_webhooks = fields.Boolean(
        metadata=documented("A webhook answered with an error status is repeated, not only one without an answer.")
    )
    storage_scope = fields.String(metadata=documented("What one storage target is valid for."))
    storage_kinds = fields.List(fields.String(), metadata=documented("Kinds of storage that archives can go to."))
    starts_archives = fields.Boolean(
        metadata=documented("With `automatic_archiving`: the provider starts the archives, and not this service.")
    )
    deletes_archives = fields.Boolean(metadata=documented("The provider deletes its own copies of archives."))
    caller_brings_encryption_key = fields.Boolean(
        metadata=documented("Your system must give the clients the key of an end-to-end encrypted meeting.")
    )


class ProviderStateSchema(Schema):
    """Whether calls to a provider go through, as this process sees it."""

    breaker = fields.String(metadata=documented("`closed`: they do.", "closed"))
    since = UtcTime(metadata=documented("Since when that is so."))
    last_error_code = fields.String(allow_none=True, metadata=documented("Why the latest call failed, if it did."))


class ProviderSchema(Schema):
    """A provider whose plugin was imported."""

    key = fields.String(metadata=documented("Its name in settings and requests.", "fake"))
    label = fields.String(metadata=documented("Its name for people."))
    distribution = fields.String(metadata=documented("What it was installed with."))
    enabled = fields.Boolean(metadata=documented("It serves meetings."))
    default = fields.Boolean(metadata=documented("It serves meetings that name none."))
    capabilities = fields.Nested(CapabilitiesSchema, allow_none=True, metadata=documented("Null unless it is enabled."))
    state = fields.Nested(
        ProviderStateSchema, allow_none=True, metadata=documented("Null where it was never called over HTTP.")
    )


class PluginFailureSchema(Schema):
    """A plugin that could not be loaded. The log says more."""

    plugin = fields.String()
    distribution = fields.String()
    reason = fields.String(metadata=documented("The kind of the error.", "ImportError"))


class ProvidersSchema(Schema):
    """The enabled providers, in the order of the settings; then those that came along with a plugin."""

    items = fields.List(fields.Nested(ProviderSchema))
    failures = fields.List(fields.Nested(PluginFailureSchema))


@blueprint.route("/providers", methods=["GET"])
@requires(Permission.GET_PROVIDERS)
@blueprint.response(200, ProvidersSchema)
@blueprint.doc(operationId=f"{Tag.OPERATIONS}.getProviders")
def list_providers() -> dict[str, Any]:
    """List the enabled providers, what each can do, and whether it works."""
    parts = services()
    return describe_providers(parts, parts.registry)
