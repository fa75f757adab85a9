"""Desired and observed network state as values, and the pure diff between them.

Desired (computed) and observed (read from the kernel) have the same types, so `plan_peers(s, s)` and
`plan_link(s, s)` are empty. Steps are values; `plantgate_shared.kernel` applies them.
"""

from .plan import (
    AddAddress,
    AddRoute,
    LinkStep,
    PeerStep,
    RemoveAddress,
    RemovePeer,
    RemoveRoute,
    SetMtu,
    SetPeer,
    SetUp,
    plan_link,
    plan_peers,
)
from .state import LinkState, Network, Peer, RouteEntry, WireGuardState

__all__ = [
    "AddAddress",
    "AddRoute",
    "LinkState",
    "LinkStep",
    "Network",
    "Peer",
    "PeerStep",
    "RemoveAddress",
    "RemovePeer",
    "RemoveRoute",
    "RouteEntry",
    "SetMtu",
    "SetPeer",
    "SetUp",
    "WireGuardState",
    "plan_link",
    "plan_peers",
]
