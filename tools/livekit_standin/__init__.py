"""A stand-in for a LiveKit server, to build and test against without one.

It speaks Twirp in JSON and in protobuf, decoded by LiveKit's own ``livekit-protocol``, so that both official SDKs can
use it, and a request with a misspelt member is refused. In a test module::

    from tools.livekit_standin.fixtures import livekit_standin  # noqa: F401

    def test_join(livekit_standin):
        livekit_standin.url, .api_key, .api_secret
        ann = livekit_standin.join(token)                  # verifies the join token; returns the participant
        track = livekit_standin.publish(ann.sid)
        livekit_standin.leave(ann.sid)

* ``advance(seconds)`` lets time pass; the clock stands still otherwise. Empty rooms close, records of egresses expire.
* ``webhooks.urls`` are where webhooks go; ``deliver()`` posts what is due, with ``shuffle=Random(1)``, ``times=2`` too.
* ``finish(egress_id, "complete" | "failed" | "aborted" | "limit" | "backup")`` ends a recording.
* ``faults["RoomService/CreateRoom"] = [behaviour]`` befalls the next requests of a method; see
  :mod:`videoconf.testing.faulty_server`.
* ``switches``: Cloud or self-hosted, and what no public source settles; see :mod:`~tools.livekit_standin.switches`.
"""

from tools.livekit_standin.auth import Refused
from tools.livekit_standin.standin import LiveKitStandin
from tools.livekit_standin.switches import Switches

__all__ = ["LiveKitStandin", "Refused", "Switches"]
