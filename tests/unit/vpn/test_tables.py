"""Steps as nft commands, and listings as contents."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from plantgate_hub.vpn.plan import Grant, Revoke, Sweep, TableState
from plantgate_hub.vpn.state import ProfileElements
from plantgate_hub.vpn.tables import commands, parse, rules_of, rules_of_reference

FIVE, SIX = IPv4Address("100.64.0.5"), IPv4Address("100.64.0.6")
REAL, HOST = IPv4Network("192.168.1.0/24"), IPv4Network("10.0.0.9/32")
TRANSIT, PART = IPv4Network("240.16.1.0/24"), IPv4Network("240.16.1.9/32")

LISTING = """\
table ip plantgate {
	map plants {
		type ipv4_addr . ipv4_addr : interval ipv4_addr
		flags interval
		elements = { 100.64.0.5 . 192.168.1.0/24 : 240.16.1.0/24,
				100.64.0.6 . 10.0.0.9 : 240.16.1.9 }
	}

	map plant_id {
		type ipv4_addr : mark
		flags interval
		elements = { 240.16.1.0/24 : 0x0000000a }
	}

	set allowed {
		type ipv4_addr . mark
		elements = { 100.64.0.5 . 0x0000000a }
	}

	chain forward {
		oifname { "pg-users", "pg-agents" } drop
	}
}
"""
CONTENTS = TableState(
    {FIVE: ProfileElements({REAL: TRANSIT}, frozenset({10})), SIX: ProfileElements({HOST: PART})}, {TRANSIT: 10}
)


def test_a_listing_becomes_contents() -> None:
    assert parse(LISTING, rules_of(LISTING)) == CONTENTS


def test_elements_are_no_part_of_the_rules() -> None:
    assert "elements" not in rules_of(LISTING)
    assert 'oifname { "pg-users", "pg-agents" } drop' in rules_of(LISTING)


@pytest.mark.parametrize(
    ("ours", "foreign"),
    [
        ("drop\n", "accept\n"),
        ("192.168.1.0/24 :", "192.168.1.0-192.168.1.77 :"),
        (". 0x0000000a }", ". 0x0000000a timeout 1h }"),
        ("0x0000000a }", '0x0000000a comment "mine" }'),
        ("\tchain forward", "\tset other {\n\t\ttype ipv4_addr\n\t\telements = { 1.2.3.4 }\n\t}\n\n\tchain forward"),
        ("{\n\tmap plants", "{\n\tflags dormant\n\n\tmap plants"),
    ],
)
def test_what_we_did_not_write_makes_the_table_not_intact(ours: str, foreign: str) -> None:
    changed = LISTING.replace(ours, foreign, 1)
    assert changed != LISTING
    assert not parse(changed, rules_of(LISTING)).intact


def test_the_reference_prints_like_the_live_table() -> None:
    reference = LISTING.replace("plantgate {", "plantgate_reference {\n\tflags dormant\n")
    assert rules_of_reference(reference, "plantgate") == rules_of(LISTING)


def test_parsing_pauses_for_others() -> None:
    pauses: list[int] = []
    parse(LISTING, "", pause=lambda: pauses.append(1))
    assert pauses


def test_steps_are_single_transactions() -> None:
    assert commands(Revoke(((FIVE, 10), (SIX, 3)), (TRANSIT,))) == (
        "delete element ip plantgate allowed { 100.64.0.5 . 10,100.64.0.6 . 3 }\n"
        "delete element ip plantgate plant_id { 240.16.1.0/24 }\n"
    )
    grant = Grant(((TRANSIT, 10),), ((FIVE, HOST),), (((FIVE, REAL), TRANSIT),), ((FIVE, 10),))
    assert commands(grant).splitlines() == [
        "add element ip plantgate plant_id { 240.16.1.0/24 : 10 }",
        "delete element ip plantgate plants { 100.64.0.5 . 10.0.0.9/32 }",
        "add element ip plantgate plants { 100.64.0.5 . 192.168.1.0/24 : 240.16.1.0/24 }",
        "add element ip plantgate allowed { 100.64.0.5 . 10 }",
    ]
    assert commands(Sweep(((FIVE, REAL),))) == "delete element ip plantgate plants { 100.64.0.5 . 192.168.1.0/24 }\n"
