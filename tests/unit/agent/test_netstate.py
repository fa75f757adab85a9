"""The plan from what the kernel has to what is wanted: nothing to do when it is so, nothing open before its rules."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantgate_agent.netstate import (
    ChangeLink,
    ChangePeers,
    Desired,
    EnsureInterface,
    LoadTable,
    Observed,
    RemoveInterface,
    RemoveTable,
    SetForwarding,
    endpoint_to_set,
    plan,
)
from plantgate_agent.rules import TableState, digest, render
from plantgate_shared.netplan import LinkState, Peer, WireGuardState

from .worlds import PEER, RULES, SITE

WANTED = Desired(RULES, SITE.public_key, PEER, 1380, "127.0.0.1:4000")


def reached(desired: Desired, opened: frozenset[str] = frozenset(), forwards_all: bool = False) -> Observed:
    """A kernel that is as `desired` says."""
    rules = replace(desired.rules, opened=opened)
    peer = Peer(frozenset(rules.peers), desired.endpoint, 25, latest_handshake=5, rx=7)
    return Observed(
        table=TableState(digest(render(rules)), True, opened),
        exists=True,
        link=desired.link(),
        wireguard=WireGuardState(desired.public_key, rules.wireguard_port, {desired.peer: peer}),
        forwarding={"pg-hub": True, **dict.fromkeys(rules.lans, True)},
        forwards_all=forwards_all,
    )


@given(
    st.frozensets(st.sampled_from(["lan0", "lan1", "eth0"])),
    st.booleans(),
    st.sampled_from(["127.0.0.1:4000", "198.51.100.10:51821", None]),
    st.data(),
)
def test_there_is_nothing_to_do_when_it_is_so(lans, forwards_all, endpoint, data):
    desired = replace(WANTED, rules=replace(RULES, lans=lans), endpoint=endpoint)
    opened = (
        frozenset()
        if forwards_all
        else data.draw(st.frozensets(st.sampled_from(sorted(lans))))
        if lans
        else frozenset()
    )
    assert plan(desired, reached(desired, opened, forwards_all)) == ()


def test_from_nothing_the_rules_come_first_and_forwarding_after_the_interface():
    steps = plan(WANTED, Observed(forwarding={"lan0": False, "wan0": False}))
    assert [type(step) for step in steps] == [
        LoadTable,
        EnsureInterface,
        ChangeLink,
        ChangePeers,
        SetForwarding,
        SetForwarding,
    ]
    load = steps[0]
    assert isinstance(load, LoadTable)
    assert load.rules.opened == {"lan0"}
    assert [step for step in steps if isinstance(step, SetForwarding)] == [
        SetForwarding("lan0", True),
        SetForwarding("pg-hub", True),
    ]


def test_a_lan_that_forwarded_before_is_not_ours_to_close():
    observed = Observed(forwarding={"lan0": True})
    [load] = [step for step in plan(WANTED, observed) if isinstance(step, LoadTable)]
    assert load.rules.opened == frozenset()


def test_a_crash_between_rules_and_forwarding_is_completed():
    observed = replace(reached(WANTED, frozenset({"lan0"})), forwarding={"pg-hub": True, "lan0": False})
    assert plan(WANTED, observed) == (SetForwarding("lan0", True),)


def test_a_lan_that_leads_nowhere_any_more_is_closed_before_its_rule_goes():
    elsewhere = replace(WANTED, rules=replace(RULES, lans=frozenset({"lan1"})))
    observed = reached(WANTED, frozenset({"lan0"}))
    observed = replace(observed, forwarding={"pg-hub": True, "lan0": True, "lan1": False})
    steps = plan(elsewhere, observed)
    assert steps[0] == SetForwarding("lan0", False)
    assert isinstance(steps[1], LoadTable)
    assert steps[1].rules.opened == {"lan1"}


def test_when_somebody_makes_the_host_a_router_nothing_is_ours_to_close():
    observed = reached(WANTED, frozenset({"lan0"}))
    [load] = plan(WANTED, replace(observed, forwards_all=True))
    assert isinstance(load, LoadTable)
    assert load.rules.opened == frozenset()
    steps = plan(None, replace(observed, forwards_all=True))
    assert not any(isinstance(step, SetForwarding) for step in steps)


def test_a_changed_table_is_loaded_anew_and_nothing_else_happens():
    observed = reached(WANTED)
    assert observed.table
    [step] = plan(WANTED, replace(observed, table=replace(observed.table, intact=False)))
    assert isinstance(step, LoadTable)


def test_a_dead_interface_is_made_anew_with_everything_on_it():
    observed = replace(reached(WANTED), wireguard=None)
    assert [type(step) for step in plan(WANTED, observed)] == [EnsureInterface, ChangeLink, ChangePeers]


def test_removal_closes_then_removes():
    observed = reached(WANTED, frozenset({"lan0"}))
    assert plan(None, observed) == (SetForwarding("lan0", False), RemoveInterface(), RemoveTable())
    assert plan(None, Observed()) == ()


def test_a_peer_of_another_hub_goes():
    observed = reached(replace(WANTED, peer="C" * 43 + "="))
    [change] = plan(WANTED, observed)
    assert isinstance(change, ChangePeers)
    assert len(change.steps) == 2


def test_the_link_is_the_transit_address_and_the_way_back():
    link = WANTED.link()
    assert {str(address) for address in link.addresses} == {"240.0.0.5/32"}
    assert {str(route.network) for route in link.routes} == {"100.64.0.0/10"}
    assert link != LinkState()


@pytest.mark.parametrize(
    ("wanted", "observed", "to_set"),
    [
        ("1.2.3.4:1", None, "1.2.3.4:1"),
        ("1.2.3.4:1", "1.2.3.4:1", "1.2.3.4:1"),
        ("1.2.3.4:1", "5.6.7.8:1", None),  # the hub roams
        ("1.2.3.4:1", "127.0.0.1:9", "1.2.3.4:1"),
        ("127.0.0.1:9", "1.2.3.4:1", "127.0.0.1:9"),
        ("127.0.0.1:9", "127.0.0.1:8", "127.0.0.1:9"),  # the relay of a worker before
        (None, "1.2.3.4:1", None),
    ],
)
def test_the_peer_may_roam_but_never_between_relay_and_udp(wanted, observed, to_set):
    assert endpoint_to_set(wanted, observed) == to_set
