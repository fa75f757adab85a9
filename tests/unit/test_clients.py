"""Clients: which public keys are usable, and the file that never changes."""

import base64
import dataclasses
import inspect
import io
from ipaddress import IPv6Network

import pytest
from wireguard_tools import WireguardConfig

from plantgate_hub.domain.clients import PRIVATE_KEY_LINE, ClientSettings, check_public_key, render_client_config
from plantgate_hub.domain.model import Profile
from plantgate_hub.domain.pools import Pools
from plantgate_hub.services import Profiles
from plantgate_hub.store import tables
from plantgate_shared.errors import InvalidInput
from plantgate_shared.identity.keys import WireGuardKey
from tests import worlds

SETTINGS = ClientSettings(
    WireGuardKey.generate().public, "vpn.example.com:51820", IPv6Network("fd00:1:2::/48"), Pools(), 1380
)


def encoded(number: int) -> str:
    return base64.b64encode(number.to_bytes(32, "little")).decode()


P = 2**255 - 19


def test_a_key_as_wg_prints_it_is_taken():
    key = WireGuardKey.generate().public
    assert check_public_key(f" {key}\n") == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "A" * 44,
        encoded(0)[:-2],
        encoded(9).replace("=", ""),
        base64.b64encode(b"x" * 31).decode(),
        base64.b64encode(b"x" * 33).decode(),
    ],
)
def test_what_is_no_key_is_refused(text):
    with pytest.raises(InvalidInput, match="no WireGuard public key"):
        check_public_key(text)


@pytest.mark.parametrize(
    "number",
    [
        0,
        1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
        P - 1,
    ],
)
def test_points_of_low_order_are_refused(number):
    with pytest.raises(InvalidInput, match="protects nothing"):
        check_public_key(encoded(number))


@pytest.mark.parametrize("number", [P, P + 9, 9 + 2**255])
def test_a_second_spelling_of_a_point_is_refused(number):
    with pytest.raises(InvalidInput, match="not reduced"):
        check_public_key(encoded(number))


def test_the_file_is_what_a_stock_client_reads_once_its_key_is_in():
    text = render_client_config(worlds.profile("ada", 1), SETTINGS)
    key = WireGuardKey.generate()
    filled = text.replace(PRIVATE_KEY_LINE, f"PrivateKey = {key.private.reveal().decode()}")
    parsed = WireguardConfig.from_wgconfig(io.StringIO(filled))
    assert [str(address) for address in parsed.addresses] == ["100.64.0.2/32", "fd00::1/128"]
    (peer,) = parsed.peers.values()
    assert str(peer.public_key) == SETTINGS.hub_public_key
    assert {str(network) for network in peer.allowed_ips} == {
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "100.64.0.1/32",
        "fd00:1:2::/48",
    }
    assert "PrivateKey =" not in text.replace(PRIVATE_KEY_LINE, "")


def test_the_hub_has_no_place_for_a_private_key():
    """What is stored of a profile is its public half; a column or field that could hold more has to be argued for."""
    fields = {field.name for field in dataclasses.fields(Profile)}
    assert fields == {"id", "person", "name", "public_key", "address", "address6"}
    assert {column.name for column in tables.profiles.columns} == fields
    for method in (Profiles.create, Profiles.rotate):
        assert not [name for name in inspect.signature(method).parameters if "private" in name]


def test_an_office_on_a_private_range_can_do_with_aliases_only():
    text = render_client_config(worlds.profile("ada", 1), SETTINGS, private_ranges=False)
    assert "AllowedIPs = 198.18.0.0/15, 100.64.0.1/32, fd00:1:2::/48\n" in text
