"""The hub's end of the UDP path probe (`protocol.probe`): answers attached agents, and nobody else.

The agent sends its question to the hub's WireGuard port; an nftables rule redirects datagrams that open with the
probe's magic to this socket. So exactly the port is tested that WireGuard needs, and the port looks closed to a scan.
"""

import asyncio
import socket
from collections.abc import Callable
from ipaddress import IPv4Address

from plantgate_shared.gso import Address
from plantgate_shared.protocol import probe
from plantgate_shared.secret import Secret

from ..identity.throttle import Key, Limit, Throttle

ALL = Key(Limit(burst=5000, interval=1 / 5000), "all")
"""Questions that are looked at at all: 5,000 a second. One costs about 10 microseconds."""
EACH = Limit(burst=20, interval=0.2)
"""Answers to one agent."""
READS_A_TURN = 64
RECEIVE_BUFFER = 256 * 1024

FindKey = Callable[[IPv4Address], Secret | None]
"""The probe key of the attached agent with this transit address."""


class ProbeResponder:
    """A UDP socket that answers valid questions. Made by `open_responder`."""

    def __init__(self, sock: socket.socket, find_key: FindKey) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = sock
        self._find_key = find_key
        self._throttle = Throttle()
        self.answered = 0
        self._loop.add_reader(sock, self._readable)

    @property
    def port(self) -> int:
        """The UDP port to which the nftables rule redirects."""
        return int(self._socket.getsockname()[1])

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def _readable(self) -> None:
        for _ in range(READS_A_TURN):
            try:
                datagram, address = self._socket.recvfrom(probe.SIZE + 1)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # an ICMP error about an earlier answer
                continue
            answer = self._answer(datagram, self._loop.time())
            if answer is not None:
                self._send(answer, address)

    def _answer(self, datagram: bytes, now: float) -> bytes | None:
        asker = probe.asker(datagram)
        if asker is None or self._throttle.take((ALL,), now):
            return None
        secret = self._find_key(asker)
        if secret is None:
            return None
        answer = probe.answer(datagram, probe.ProbeKey(asker, secret))
        # Only a valid question counts against its agent, or anybody could use up its answers.
        if answer is None or self._throttle.take((Key(EACH, str(asker)),), now):
            return None
        return answer

    def _send(self, answer: bytes, address: Address) -> None:
        try:
            self._socket.sendto(answer, address)
            self.answered += 1
        except OSError:  # no buffer, no route: a lost answer, which is what the agent then sees
            return


def open_responder(find_key: FindKey, host: str, port: int = 0) -> ProbeResponder:
    """A responder bound to `host` (all addresses of the hub, since a redirect goes to the one that was asked).

    Call it with the loop running. Raises OSError.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.bind((host, port))
        return ProbeResponder(sock, find_key)
    except BaseException:
        sock.close()
        raise
