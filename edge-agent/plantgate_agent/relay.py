"""WireGuard's datagrams between the local WireGuard and the websocket.

One UDP socket on loopback, connected to the local WireGuard's port, so that the kernel lets nobody else in. WireGuard's
peer is pointed at it while UDP does not get through. Batches go both ways as they are; nothing queues here.
"""

from plantgate_shared.gso import BatchSocket, Counters, OnDatagrams, open_socket


class Relay:
    """`on_datagrams(segment_size, data)` takes what WireGuard sends; `deliver` takes what the hub sent."""

    def __init__(self, wireguard_port: int, on_datagrams: OnDatagrams) -> None:
        self._socket: BatchSocket = open_socket(on_datagrams, remote=("127.0.0.1", wireguard_port))

    @property
    def endpoint(self) -> str:
        """What WireGuard's peer has to be pointed at."""
        host, port = self._socket.address
        return f"{host}:{port}"

    @property
    def counters(self) -> Counters:
        return self._socket.counters

    def deliver(self, segment_size: int, data: bytes) -> None:
        self._socket.send(segment_size, data)

    def close(self) -> None:
        self._socket.close()
