"""The HTTP clients of one provider, and what they say of it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from videoconf.breaker import BreakerState
from videoconf.forward_proxy import ForwardProxy
from videoconf.providers.http import CallOutcome, ClientState, GuardedClient
from videoconf.storage import EndpointGuard


class Clients:
    """Gives the client for an account: always the same one, so that its breaker and slots are the account's.

    Thread-safe.

    :param slots: for each client.
    :param observer: told of every call.
    :param downloads: decides on each host from which a client downloads.
    :param proxy: carries the connections of the clients.
    """

    def __init__(
        self,
        provider: str,
        slots: int,
        observer: Callable[[CallOutcome], None] | None = None,
        downloads: EndpointGuard | None = None,
        proxy: ForwardProxy | None = None,
    ) -> None:
        self._downloads = downloads
        self._proxy = proxy
        self._provider = provider
        self._slots = slots
        self._observer = observer
        self._lock = Lock()
        self._by_account: dict[str, GuardedClient] = {}

    def __call__(self, account: str) -> GuardedClient:
        """Return the client for an account."""
        with self._lock:
            if account not in self._by_account:
                self._by_account[account] = GuardedClient(
                    provider=self._provider,
                    account=account,
                    slots=self._slots,
                    observer=self._observer,
                    downloads=self._downloads,
                    proxy=self._proxy,
                )
            return self._by_account[account]

    def find_state(self) -> ClientState | None:
        """Return whether calls go through, of several accounts the worst; None if no client was asked for yet."""
        with self._lock:
            states = [client.state for client in self._by_account.values()]
        return max(states, key=lambda state: (state.breaker is not BreakerState.CLOSED, state.since), default=None)
