"""What an API token may be used for. A token never does more than its owner may; a scope only narrows that."""

from enum import StrEnum


class TokenScope(StrEnum):
    """Reading is a scope of its own; every other one covers the changes in its area and no reading."""

    READ = "read"
    """Look at whatever the owner may see."""
    VPN = "vpn"
    """The owner's own VPN profiles, route preferences and reasons for connecting."""
    PLANTS = "plants"
    """Plants, subnets, devices, web targets, gateways, enrolment codes."""
    ACCESS = "access"
    """Members, jobs, invitations, cooperations, VPN services, ending access."""
    PLATFORM = "platform"
    """What cloud operators do: organizations and the fleet."""
