"""What a person's WireGuard client is given: checks of their public key, and the configuration file that never changes.

The private key is made on the person's device. The text rendered here has a line to be filled in there.
"""

from dataclasses import dataclass
from ipaddress import IPv6Network

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from plantgate_shared.errors import InvalidInput
from plantgate_shared.identity.keys import decode_wireguard

from .model import Profile
from .pools import PRIVATE_RANGES, Pools

PRIVATE_KEY_LINE = "# PrivateKey = put the private key of this device here"
"""Stands where the device that made the key writes it."""
KEEPALIVE = 25
"""Seconds; keeps the way back open through NAT, WireGuard's own recommendation."""
_FIELD = 2**255 - 19


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """What is the same in every client's file."""

    hub_public_key: str
    endpoint: str
    """host:port that clients dial."""
    ipv6_prefix: IPv6Network
    pools: Pools
    mtu: int


def check_public_key(text: str) -> str:
    """The key, if it is a usable X25519 public key as `wg pubkey` prints it. Raises InvalidInput."""
    key = text.strip()
    try:
        raw = decode_wireguard(key)
    except ValueError as error:
        raise InvalidInput(
            f"this is no WireGuard public key: {error}", hint="it has 44 characters, as `wg pubkey` prints it"
        ) from None
    if int.from_bytes(raw, "little") >= _FIELD:  # a second spelling of a point would pass for another key
        raise InvalidInput("this is no WireGuard public key: it is not reduced", hint="make a new key pair")
    try:
        # A point of low order gives the same shared secret (zero) whatever the private key: no secret at all.
        X25519PrivateKey.from_private_bytes(b"\x40" * 32).exchange(X25519PublicKey.from_public_bytes(raw))
    except ValueError:
        raise InvalidInput("this public key protects nothing (low order)", hint="make a new key pair") from None
    return key


def render_client_config(profile: Profile, settings: ClientSettings, *, private_ranges: bool = True) -> str:
    """The client's file but for its private key. Without `private_ranges` only alias addresses go into the tunnel.

    What lies in AllowedIPs goes into the tunnel, and everything else stays on the person's own connection; which of it
    leads anywhere is decided by the hub for each packet.
    """
    pools = settings.pools
    allowed = [
        *(PRIVATE_RANGES if private_ranges else ()),
        pools.aliases,
        f"{pools.service_address}/32",
        settings.ipv6_prefix,
    ]
    return "\n".join(
        (
            f"# Plantgate profile: {profile.name}",
            "[Interface]",
            PRIVATE_KEY_LINE,
            f"Address = {profile.address}/32, {profile.address6}/128",
            f"MTU = {settings.mtu}",
            "",
            "[Peer]",
            f"PublicKey = {settings.hub_public_key}",
            f"Endpoint = {settings.endpoint}",
            f"AllowedIPs = {', '.join(map(str, allowed))}",
            f"PersistentKeepalive = {KEEPALIVE}",
            "",
        )
    )
