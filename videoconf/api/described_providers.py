"""What the providers are and can do, as both ``GET /providers`` and ``videoconf providers`` report it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from videoconf.api.services import Services
from videoconf.formats import utc_text
from videoconf.hooks import Registry
from videoconf.providers import Capabilities
from videoconf.providers.clients import Clients


def describe_providers(parts: Services, registry: Registry) -> dict[str, Any]:
    """Describe what a registry has, as ``ProvidersSchema`` documents it."""
    failures = [
        {
            "plugin": failure.origin.name,
            "distribution": failure.origin.distribution,
            "reason": failure.reason.partition(":")[0],  # the rest is the plugin's own words, which may say anything
        }
        for failure in registry.failures
    ]
    return {"items": list(_describe(parts, registry)), "failures": failures}


def _describe(parts: Services, registry: Registry) -> Iterator[dict[str, Any]]:
    enabled = list(parts.providers.by_key)
    for key in [*enabled, *sorted(registry.providers.keys() - set(enabled))]:
        registered = registry.providers[key]
        provider = parts.providers.find(key)
        yield {
            "key": key,
            "label": registered.cls.label,
            "distribution": registered.origin.distribution,
            "enabled": provider is not None,
            "default": [key] == enabled[:1],
            "capabilities": provider and _facts(provider.capabilities),
            "state": _state(parts.clients[key]) if provider else None,
        }


def _facts(can: Capabilities) -> dict[str, Any]:
    return {
        "features": sorted(can.features),
        "roles": sorted(can.roles),
        "sessionCreation": can.session_creation,
        "idempotentCreate": can.idempotent_create,
        "maxTokenTtlSeconds": int(can.max_token_ttl.total_seconds()),
        "maxDataCharacters": can.max_data_characters,
        "webhookAuthentication": can.webhook_authentication,
        "webhookChannels": can.webhook_channels,
        "eventIds": can.event_ids,
        "retryHorizonSeconds": int(can.retry_horizon.total_seconds()),
        "repeatsRefusedWebhooks": can.repeats_refused_webhooks,
        "storageScope": can.storage_scope,
        "storageKinds": sorted(can.storage_kinds),
        "startsArchives": can.starts_archives,
        "deletesArchives": can.deletes_archives,
        "callerBringsEncryptionKey": can.caller_brings_encryption_key,
    }


def _state(clients: Clients) -> dict[str, Any] | None:
    state = clients.find_state()
    if state is None:
        return None
    return {"breaker": state.breaker, "since": utc_text(state.since), "lastErrorCode": state.last_error_code}
