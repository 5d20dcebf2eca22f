"""What a plugin is tested with: subclass a kit, say how your backend is driven, and run pytest.

:class:`ProviderConformance` and :class:`StorageConformance` are sets of numbered scenarios (``P-…`` what a provider
does, ``W-…`` webhooks, ``S-…`` storage). Each says in its docstring what the core relies on, and in its message what to
do. :class:`Scripted` decides what the next calls of a provider or a storage target do.
"""

from videoconf.testing.faulty_server import FaultyServer
from videoconf.testing.harness import Harness, unwritten
from videoconf.testing.provider_conformance import ProviderConformance
from videoconf.testing.samples import WebhookSample, load_samples
from videoconf.testing.scripted import Scripted
from videoconf.testing.storage_conformance import StorageConformance

__all__ = [
    "FaultyServer",
    "Harness",
    "ProviderConformance",
    "Scripted",
    "StorageConformance",
    "WebhookSample",
    "load_samples",
    "unwritten",
]
