"""WireGuard inside the websocket: one agent's datagrams between its tunnel and the hub's own WireGuard port.

Each agent has a UDP socket of its own on the loopback, so that to WireGuard it is a peer at an address like any other.
It is opened with the first datagram: an agent on the UDP path needs none.
"""

from collections.abc import Callable

from plantgate_shared.gso import Address, BatchSocket, Counters, open_socket

SendDatagrams = Callable[[int, bytes], object]
"""Takes a batch towards the agent, or drops it."""

SHORTEST = 32
"""Bytes of WireGuard's shortest message, a keepalive: a batch cut finer is not WireGuard and would cost a system call
for every few bytes."""


class Relay:
    """The relay of one attached agent."""

    def __init__(self, wireguard: Address, to_agent: SendDatagrams, *, offload: bool = True) -> None:
        self._wireguard = wireguard
        self._to_agent = to_agent
        self._offload = offload
        self._socket: BatchSocket | None = None
        self._closed = False

    @property
    def address(self) -> Address | None:
        """The agent's endpoint as WireGuard sees it; None before the first datagram."""
        return self._socket.address if self._socket else None

    @property
    def counters(self) -> Counters:
        """Seen from the socket: `sent` went to WireGuard, `received` came from it."""
        return self._socket.counters if self._socket else Counters()

    def from_agent(self, segment_size: int, data: bytes) -> None:
        """Pass a batch on to WireGuard, as far as it fits. Raises OSError if no socket can be had."""
        if self._closed or (segment_size < SHORTEST and len(data) > segment_size):
            return
        if self._socket is None:
            self._socket = open_socket(self._received, remote=self._wireguard, offload=self._offload)
        self._socket.send(segment_size, data)

    def _received(self, segment_size: int, data: bytes) -> None:
        self._to_agent(segment_size, data)

    def close(self) -> None:
        self._closed = True
        if self._socket is not None:
            self._socket.close()
