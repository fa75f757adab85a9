"""The rules as text, and the reading of what the kernel has."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from plantgate_agent.rules import digest, parse_listing, permit_hub, render, seal

from .worlds import RULES

LISTING = """\
table ip plantgate_agent {
	set live {
		type ifname
		flags timeout
		elements = { "pg-hub" timeout 6s }
	}

	set opened {
		type ifname
		elements = { "lan0",
				"lan.5" }
	}

	set hub {
		type ipv4_addr
		elements = { 198.51.100.10 }
	}

	chain seal {
		comment "SEAL"
	}

	chain from_hub {
		iifname @live accept
		drop
	}
}
"""


def sealed(listing: str) -> str:
    command = seal(RULES, listing)
    return listing.replace("SEAL", command.split('"')[1])


def test_equal_rules_are_equal_text_whatever_the_order_of_sets():
    again = replace(
        RULES, lans=frozenset(["lan1", "lan0"]), hub=frozenset([IPv4Address("10.0.0.2"), IPv4Address("10.0.0.1")])
    )
    other = replace(
        RULES, lans=frozenset(["lan0", "lan1"]), hub=frozenset([IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2")])
    )
    assert render(again) == render(other)


def test_both_ways_need_the_sign_of_life():
    lines = [line.strip() for line in render(RULES).splitlines()]
    accepting = [
        line
        for line in lines
        if line.endswith("accept") and ("pg-hub" in line or "@live" in line or "@boundary" in line)
    ]
    forwarding = [line for line in accepting if "oifname @lans" in line or ("ct state" in line and "@live" in line)]
    assert len(forwarding) == 3
    assert all("@live" in line for line in forwarding)


def test_a_worker_that_is_root_is_not_told_apart():
    assert "skuid" not in render(replace(RULES, worker_uid=None))
    assert "meta skuid 990 goto worker" in render(RULES)


def test_only_the_hub_is_reached_without_asking_for_the_socket_s_owner():
    lines = [line.strip() for line in render(RULES).splitlines()]
    before = lines[: lines.index("meta skuid 990 goto worker")]
    accepted = [line for line in before[before.index("chain output {") :] if line.endswith("accept")]
    assert accepted == ["udp sport 51822 ip daddr @hub accept"]


def test_nothing_reachable_is_still_a_table():
    text = render(replace(RULES, subnets=(), lans=frozenset(), targets=frozenset(), hub=frozenset()))
    assert "elements = {  }" not in text


@pytest.mark.parametrize("name", ['eth"0', "a b", "x" * 16, "eth0;drop", "a{b", ""])
def test_a_strange_interface_name_never_becomes_a_rule(name):
    with pytest.raises(ValueError, match="cannot be an interface"):
        render(replace(RULES, lans=frozenset({name})))


def test_what_was_loaded_is_read_back_as_intact():
    state = parse_listing(sealed(LISTING))
    assert state.intact
    assert state.wanted == digest(render(RULES))
    assert state.opened == {"lan0", "lan.5"}


def test_what_changes_by_design_is_no_drift():
    listing = (
        sealed(LISTING)
        .replace("timeout 6s", "timeout 6s expires 2s")
        .replace("198.51.100.10", "198.51.100.10, 1.2.3.4")
    )
    assert parse_listing(listing).intact


@pytest.mark.parametrize(
    ("was", "becomes"),
    [("iifname @live accept", "accept"), ("\t\tdrop\n", ""), ('"lan.5"', '"lan.6"'), ("from_hub", "from_hub2")],
)
def test_any_other_change_is_drift(was, becomes):
    assert not parse_listing(sealed(LISTING).replace(was, becomes)).intact


def test_a_table_without_a_seal_was_not_completely_loaded_but_remembers_what_it_opened():
    state = parse_listing(LISTING.replace("SEAL", ""))
    assert (state.wanted, state.intact) == ("", False)
    assert state.opened == {"lan0", "lan.5"}


def test_further_addresses_of_the_hub():
    assert permit_hub([IPv4Address("10.0.0.2"), IPv4Address("10.0.0.1")]).endswith("hub { 10.0.0.1, 10.0.0.2 }")
