"""A stand-in for Vonage Video (OpenTok and unified environment), to build and test against without an account.

With ``pytest_plugins = ["tools.vonage_standin.fixtures"]`` in the root conftest::

    def test_join(vonage_standin):                    # runs twice: environment "opentok" and "unified"
        vonage_standin.environment, .url, .account, .secret     # api key and secret, or application id and PEM key
        connection = vonage_standin.connect(token)    # verifies the client token; or connect_to(session_id, data=…)
        stream = vonage_standin.publish(connection)
        vonage_standin.disconnect(connection, "networkDisconnected")

    def test_opentok_only(make_vonage_standin):
        standin = make_vonage_standin("opentok", credential_clock=my_clock_in_seconds)

* ``standin.received``: every API request so far (``method``, ``path``, ``query``, ``headers``, ``body``).
* ``standin.advance(seconds)``: let time pass; the clock stands still otherwise. Tokens are checked by
  ``credential_clock``, the wall clock unless given.
* ``standin.finish_archive(id, "ready" | "failed" | "upload_failed")``; ``standin.archives.target`` is the storage
  target.
* ``standin.callbacks.register(session_url, archive_url, secret=…)``; then ``standin.deliver()`` posts what is due, also
  ``deliver(shuffle=Random(1), times=2)``, or ``deliver(post=…)`` without HTTP. In ``standin.callbacks``,
  ``request_of(callback)`` gives body and headers, ``policy`` is "current" or "legacy", ``sent`` is all that there was
  to tell.
* ``standin.faults.add("POST", "/archive$", faults.reset_after_processing())``: befalls the next matching request; see
  :mod:`~tools.vonage_standin.faults`.
* ``standin.switches``: whatever no public source settles, both ways; see :mod:`~tools.vonage_standin.switches`.

``python -m tools.vonage_standin --help`` runs it by itself, steered over HTTP (:mod:`~tools.vonage_standin.admin`).
"""

from tools.vonage_standin import faults
from tools.vonage_standin.auth import Unauthorized
from tools.vonage_standin.clock import Clock
from tools.vonage_standin.standin import VonageStandin
from tools.vonage_standin.switches import Switches
from tools.vonage_standin.world import Refused

__all__ = ["Clock", "Refused", "Switches", "Unauthorized", "VonageStandin", "faults"]
