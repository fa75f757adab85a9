"""The UDP path probe: a datagram that asks whether the hub's WireGuard port is reachable, and its answer. Pure.

    offset  0  magic "PGP1": WireGuard's message types are 1 to 4 in the first byte, so nothing else looks like this
            4  kind: 1 question, 2 answer
            5  the asking agent's transit address, 4 bytes: tells the hub whose key to check
            9  nonce, 12 bytes, copied into the answer
           21  first 16 bytes of HMAC-SHA256(probe key, all before)

A question is as long as its answer, so a forged source gains nothing; without the key there is no answer at all.
"""

import hmac
from dataclasses import dataclass
from ipaddress import IPv4Address

from ..secret import Secret

MAGIC = b"PGP1"
QUESTION, ANSWER = 1, 2
NONCE_SIZE = 12
_MAC_SIZE = 16
SIZE = len(MAGIC) + 1 + 4 + NONCE_SIZE + _MAC_SIZE


@dataclass(frozen=True, slots=True)
class ProbeKey:
    """Who asks, and the secret the hub gave it for that."""

    transit_address: IPv4Address
    secret: Secret


def question(key: ProbeKey, nonce: bytes) -> bytes:
    """The agent's datagram. `nonce` is NONCE_SIZE random bytes."""
    return _seal(QUESTION, key, nonce)


def asker(datagram: bytes) -> IPv4Address | None:
    """Whose question a datagram claims to be; None if it is none. Says nothing about its truth."""
    if len(datagram) != SIZE or not datagram.startswith(MAGIC) or datagram[4] != QUESTION:
        return None
    return IPv4Address(datagram[5:9])


def answer(datagram: bytes, key: ProbeKey) -> bytes | None:
    """The hub's datagram for a valid question, None for anything else."""
    nonce = _nonce(datagram, QUESTION, key)
    return None if nonce is None else _seal(ANSWER, key, nonce)


def answer_nonce(datagram: bytes, key: ProbeKey) -> bytes | None:
    """The nonce of a valid answer, None for anything else."""
    return _nonce(datagram, ANSWER, key)


def _seal(kind: int, key: ProbeKey, nonce: bytes) -> bytes:
    if len(nonce) != NONCE_SIZE:
        raise ValueError(f"a probe's nonce has {NONCE_SIZE} bytes, not {len(nonce)}")
    head = MAGIC + bytes([kind]) + key.transit_address.packed + nonce
    return head + _mac(key, head)


def _nonce(datagram: bytes, kind: int, key: ProbeKey) -> bytes | None:
    if len(datagram) != SIZE or not datagram.startswith(MAGIC) or datagram[4] != kind:
        return None
    head, mac = datagram[:-_MAC_SIZE], datagram[-_MAC_SIZE:]
    if head[5:9] != key.transit_address.packed or not hmac.compare_digest(mac, _mac(key, head)):
        return None
    return head[9 : 9 + NONCE_SIZE]


def _mac(key: ProbeKey, head: bytes) -> bytes:
    return hmac.digest(key.secret.reveal(), head, "sha256")[:_MAC_SIZE]
