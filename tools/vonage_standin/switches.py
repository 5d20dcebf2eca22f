"""What no public source settles, as switches. The default is the likelier reading; a client must work with both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass
class Switches:
    """Each may be set at any time and holds from the next request or callback on."""

    no_clients_status: Literal[404, 400] = 404
    """Start of an archive without a connection: 404 in recordings of 2023 on, 400 in the older guide and in issues of
    the Ruby and PHP SDKs."""

    storage_get_status: Literal[405, 404, 200] = 405
    """GET of the storage target: no documentation and no public call of it was found."""

    storage_type_any_case: bool = True
    """The guide writes ``s3`` and ``azure``; a public integration sends ``S3`` and ``Azure``."""

    storage_default_fallback: Literal["none", "opentok"] = "none"
    """``fallback`` left out: "none" in a third-party Go SDK, the vendor's cloud in the guide."""

    storage_put_probes_target: bool = False
    """Whether setting a target tries it out; then one that cannot be reached is refused with 400."""

    unified_has_storage_endpoint: bool = False
    """The unified environment sets the target in the dashboard; no REST endpoint was found."""

    list_count_over_1000: Literal["clamp", "refuse"] = "clamp"
    """1000 is the documented maximum of ``count`` in a list of archives; not what happens above."""

    list_count_is: Literal["total", "page"] = "total"
    """``count`` in the answer: the total by the guide; a recorded page is compatible with the page's length."""

    lists_multi_archive_tag: bool = False
    """The Python SDK says that reading leaves the tag out; newer recorded data have it."""

    wrong_content_type_status: Literal[200, 415] = 200
    """A JSON body under another content type: taken as JSON, or refused. 415 is nowhere documented for this API."""

    session_create_error_body: Literal["json", "empty"] = "json"
    """400 of session create."""

    session_id_prefix: Literal["1_", "2_"] = "2_"
    """Both are seen; the meaning is unknown."""

    token_data_limit_counts: Literal["characters", "bytes"] = "characters"
    """The limit of 1000 on connection data: the SDK counts characters, the server may count bytes."""

    mute_accepts: Literal["both", "excludedStreamIds"] = "both"
    """The Python and Ruby SDKs send ``excludedStreams``, all others ``excludedStreamIds``: the former may be
    ignored."""

    mute_of_gone_stream_status: Literal[404, 400] = 404
    """The SDK's source names 404 and, for "an invalid stream ID", 400: one that is gone may be either."""

    session_events: bool = True
    """``sessionCreated`` and ``sessionDestroyed``: sent by the newer callback service only."""

    session_event_body: Literal["flat", "nested"] = "flat"
    """Their fields beyond session, project, event and time are not listed: ``nested`` adds a ``session`` object."""

    unified_account_field: Literal["projectId", "applicationId"] = "projectId"
    """Which field of a monitoring callback carries the application's id."""

    retention_callbacks: bool = True
    """Whether ``expired`` and ``deleted`` archives are announced."""

    success_statuses: Literal["200", "2xx"] = "200"
    """Which answers to a callback count as delivered."""

    callback_timeout_seconds: float = 5.0
    """How long the vendor waits for an answer is not documented."""

    callback_body_has_spaces: bool = False
    """Whether the JSON on the wire has insignificant whitespace. With it, see the next switch."""

    payload_hash_covers: Literal["raw", "compact"] = "raw"
    """``payload_hash``: of the bytes sent, or of the JSON without whitespace."""

    retries_are_signed_again: bool = True
    """Whether a retry gets a fresh ``iat`` and ``jti``, or the first attempt's header again."""
