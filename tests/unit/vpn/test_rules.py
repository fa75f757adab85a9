"""The hub's rules as text: what holds for both of its interfaces, whatever is in the sets."""

import re
from fnmatch import fnmatch

import pytest

from plantgate_hub.vpn.rules import OURS, base_table, base_table6
from plantgate_hub.vpn.state import AGENTS, USERS, VpnSettings

BOTH = '{ "pg-users", "pg-agents" }'


def chain(table: str, name: str) -> list[str]:
    found = re.search(rf"chain {name} \{{\n(.*?)\n    \}}", table, re.DOTALL)
    assert found, name
    return [line.strip() for line in found.group(1).splitlines()[1:]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("forward", [f"iifname {BOTH} drop", f"oifname {BOTH} drop"]),
        ("input", [f"iifname {BOTH} drop"]),
        ("output", [f"oifname {BOTH} drop"]),
    ],
)
def test_no_ipv6_passes_in_any_direction(name: str, expected: list[str]) -> None:
    assert chain(base_table6(), name) == expected


def test_what_is_not_between_a_person_and_a_plant_is_dropped_last() -> None:
    """Also where a packet was translated and its route is gone: it must not leave by the hub's own uplink."""
    ways = chain(base_table(VpnSettings()), "forward")
    assert ways == [
        'iifname "pg-agents" oifname "pg-users" goto to_people',
        'iifname "pg-users" oifname "pg-agents" goto to_plants',
        'iifname "pg-users" goto refuse',
        'iifname "pg-agents" drop',
        f"oifname {BOTH} drop",
    ]
    for name in ("to_plants", "to_people"):
        *_, last = chain(base_table(VpnSettings()), name)
        assert last in ("drop", "goto refuse")


def test_one_comparison_leads_both_interfaces_to_their_rules() -> None:
    assert all(fnmatch(interface, OURS) for interface in (USERS, AGENTS))
    table = base_table(VpnSettings())
    assert chain(table, "input")[0] == f'iifname "{OURS}" jump input_from_tunnels'
    assert chain(table, "output") == [f'oifname "{OURS}" goto output_to_tunnels']
