"""The API's operations by chapter; importing this declares all of them."""

from . import (
    access,
    account,
    devices,
    diagnosis,
    gateways,
    newcomers,
    organizations,
    oversight,
    plants,
    sign_ins,
    vpn,
    vpn_services,
)

__all__ = [
    "access",
    "account",
    "devices",
    "diagnosis",
    "gateways",
    "newcomers",
    "organizations",
    "oversight",
    "plants",
    "sign_ins",
    "vpn",
    "vpn_services",
]
