"""The API's operations by chapter; importing this declares all of them."""

from . import access, account, devices, gateways, organizations, plants, vpn, vpn_services

__all__ = ["access", "account", "devices", "gateways", "organizations", "plants", "vpn", "vpn_services"]
