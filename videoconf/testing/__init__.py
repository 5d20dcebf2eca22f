"""What a plugin is tested with: subclass a kit, say how your backend is driven, and run pytest.

:class:`ProviderConformance` and :class:`StorageConformance` are sets of numbered scenarios (``P-…`` what a provider
does, ``W-…`` webhooks, ``S-…`` storage). Each says in its docstring what the core relies on, and in its message what to
do. :class:`Scripted` decides what the next calls of a provider or a storage target do.
"""

from videoconf.testing.faulty_server import FaultyServer as FaultyServer
from videoconf.testing.harness import Harness as Harness
from videoconf.testing.harness import unwritten as unwritten
from videoconf.testing.provider_conformance import ProviderConformance as ProviderConformance
from videoconf.testing.samples import WebhookSample as WebhookSample
from videoconf.testing.samples import load_samples as load_samples
from videoconf.testing.scripted import Scripted as Scripted
from videoconf.testing.storage_conformance import StorageConformance as StorageConformance
