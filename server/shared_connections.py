"""The connections of one process, and the choice of the one to close when a limit is exceeded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from ipaddress import ip_network
from typing import Protocol

from server.connection_limits import ConnectionLimits
from settings.hosts import client_network, parse_address
from web.stranger_lines import StrangerLines


class Connection(Protocol):
    """A connection that can be evicted."""

    def evict(self) -> None:
        """Close, in favour of a new connection."""


class Share:
    """The connections of one client address."""

    __slots__ = ("address", "open", "waiting")

    def __init__(self, address: str) -> None:
        self.address = address
        self.open = 0
        self.waiting: dict[Connection, None] = {}


class KeyClaim:
    """Which gateway key one connection belongs to: the one of its newest request that had any.

    The app finds it in the scope's extensions. It refers to no connection, so there is no cycle.
    """

    __slots__ = ("_by_key", "_is_closed", "_key")

    def __init__(self, by_key: Counter[str]) -> None:
        self._by_key = by_key
        self._is_closed = False
        self._key: str | None = None

    def take(self, key: str, limit: int) -> bool:
        """Count the connection as this key's. Returns False if the key has as many already."""
        if key == self._key or self._is_closed:  # a request may outlive its connection
            return True
        if self._by_key[key] >= limit:
            return False
        self._give_back()
        self._key = key
        self._by_key[key] += 1
        return True

    def release(self) -> None:
        """The connection is closed, and belongs to no key any more."""
        self._is_closed = True
        self._give_back()

    def _give_back(self) -> None:
        if self._key is not None:
            self._by_key[self._key] -= 1
            if not self._by_key[self._key]:
                del self._by_key[self._key]
            self._key = None


class SharedConnections:
    """The connections of one process, by client address, and those that wait for their client.

    `waiting` is ordered: the connection that has waited longest is first. The addresses of trusted
    proxies have no share, because they carry the connections of many clients.
    """

    def __init__(self, limits: ConnectionLimits, trusted_proxies: Iterable[str] = ()) -> None:
        self.limits = limits
        self.waiting: dict[Connection, None] = {}
        self.stranger_lines = StrangerLines()
        self._trusted = [ip_network(proxy) for proxy in trusted_proxies]
        self._shares: dict[str, Share] = {}
        self._by_key: Counter[str] = Counter()

    def add(self, host: str | None) -> Share | None:
        """Count a new connection. Returns the share that it belongs to."""
        if host is None:
            return None
        address = parse_address(host.partition("%")[0]) if self._trusted else None
        if address and any(address in network for network in self._trusted):
            return None
        host = client_network(host)
        share = self._shares.setdefault(host, Share(host))
        share.open += 1
        return share

    def make_claim(self) -> KeyClaim:
        """The claim of a new connection, which belongs to no key."""
        return KeyClaim(self._by_key)

    def wait(self, connection: Connection, share: Share | None) -> None:
        """Mark the connection as waiting for its client."""
        self.waiting[connection] = None
        if share:
            share.waiting[connection] = None

    def stop_waiting(self, connection: Connection, share: Share | None) -> None:
        """Unmark the connection: its request is complete, or it is being closed."""
        self.waiting.pop(connection, None)
        if share:
            share.waiting.pop(connection, None)

    def remove(self, connection: Connection, share: Share | None) -> None:
        """Forget a closed connection."""
        self.stop_waiting(connection, share)
        if share:
            share.open -= 1
            if not share.open:
                del self._shares[share.address]

    def evict_excess(self, connections: int, share: Share | None) -> None:
        """If a limit is exceeded, evict the connection that has waited longest.

        It is one of the share, or of all. There always is one, because a new connection waits.
        """
        if share and share.open > self.limits.connections_per_address:
            next(iter(share.waiting)).evict()
        elif connections > self.limits.connections:
            next(iter(self.waiting)).evict()
