"""Decide in a test what the next calls of a provider or a storage target do."""

from __future__ import annotations

from collections import deque
from typing import Any

from videoconf.providers import ProviderPort
from videoconf.storage import StoragePort


class Scripted:
    """Stands between a port and its plugin, and passes on what is not scripted. Thread-safe.

    To whoever asks, it is the real object: it has its class, its attributes, and takes values for them. ::

        provider = Scripted(services(app).providers.get("acme"))
        provider.script("ensure_session", ProviderTimeout())  # the next call fails, and those after it do not

    :param port: of a provider (``providers.get``), or of a storage target (``targets.open``).
    """

    __slots__ = ("_outcomes", "real")  # everything else, ``__dict__`` too, is the real object's

    def __init__(self, port: ProviderPort | StoragePort) -> None:
        object.__setattr__(self, "real", port.plugin)
        object.__setattr__(self, "_outcomes", {})
        port.plugin = self  # type: ignore[assignment]  # it passes for one, by its class

    def script(self, method: str, *outcomes: Any, always: bool = False) -> None:
        """Set what the next calls of a method do, one outcome for each call; after them the real method is called.

        They replace what was scripted before for the method. With no outcomes it is the real one from now on.

        :param outcomes: an exception is raised, a function is called with the arguments of the call and its result is
            returned, and any other value is returned. A function that needs the real method finds it at :attr:`real`.
        :param always: go on with the last outcome.
        :raises AttributeError: the plugin has no such method.
        """
        getattr(self.real, method)
        self._outcomes[method] = deque(outcomes), always

    def __getattr__(self, name: str) -> Any:
        outcomes, always = self._outcomes.get(name, ((), False))
        if not outcomes:
            return getattr(self.real, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                outcome = outcomes[0] if always and len(outcomes) == 1 else outcomes.popleft()
            except IndexError:  # another thread had the last one
                return getattr(self.real, name)(*args, **kwargs)
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome(*args, **kwargs) if callable(outcome) else outcome

        return call

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.real, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.real, name)

    @property  # type: ignore[misc]  # a class of its own for each instance
    def __class__(self) -> Any:
        return self.real.__class__  # also where the real one is scripted already
