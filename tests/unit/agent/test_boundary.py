"""The boundary: what it lets through, what can be in it at all, and how its file is read and written."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from plantgate_agent.boundary import Boundary, effective, objection, parse, read, write
from plantgate_agent.config import Pools
from plantgate_shared.errors import ConfigError

POOLS = Pools()


def net(text: str) -> IPv4Network:
    return IPv4Network(text)


def boundary(*texts: str) -> Boundary:
    return Boundary.of(map(net, texts))


def test_what_lies_inside_is_accepted_in_the_order_asked_for():
    asked = [net("192.168.1.0/25"), net("10.1.0.0/16"), net("192.168.1.0/25")]
    verdict = effective(boundary("192.168.1.0/24", "10.0.0.0/8"), asked, POOLS)
    assert verdict.accepted == (net("192.168.1.0/25"), net("10.1.0.0/16"))
    assert verdict.refused == ()


def test_two_neighbours_cover_what_spans_both():
    assert effective(boundary("10.0.0.0/24", "10.0.1.0/24"), [net("10.0.0.0/23")], POOLS).refused == ()


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("192.168.2.0/24", "it lies outside the gateway's boundary"),
        ("192.168.0.0/16", "it lies only partly inside the gateway's boundary"),
        ("0.0.0.0/0", "it is the default route"),
        ("128.0.0.0/1", "it is wider than /8"),
        ("127.0.0.0/8", "it is the gateway's own loopback"),
        ("169.254.0.0/16", "it is link-local"),
        ("224.0.0.0/8", "it is multicast"),
        ("100.64.1.0/24", "it overlaps the hub's pool profiles (100.64.0.0/10)"),
        ("198.18.0.0/24", "it overlaps the hub's pool aliases (198.18.0.0/15)"),
        ("240.1.0.0/16", "it overlaps the hub's pool transit (240.0.0.0/4)"),
    ],
)
def test_everything_else_is_refused_with_its_reason(asked, reason):
    verdict = effective(boundary("192.168.1.0/24"), [net(asked)], POOLS)
    assert verdict.accepted == ()
    assert [refused.reason for refused in verdict.refused] == [reason]


def test_an_empty_boundary_lets_nothing_through():
    [refused] = effective(Boundary(), [net("10.0.0.0/24")], POOLS).refused
    assert str(refused) == "10.0.0.0/24: the gateway's boundary is empty"


def test_single_addresses():
    assert boundary("10.0.0.0/24").contains(IPv4Address("10.0.0.255"))
    assert not boundary("10.0.0.0/24").contains(IPv4Address("10.0.1.0"))


def test_networks_of_the_internet_may_be_plant_networks():
    assert objection(net("203.0.113.0/24"), POOLS) is None


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"subnets": []}, "file must be a list of networks (one line each, like: - 192.168.1.0/24)"),
        ("192.168.1.0/24", "file must be a list of networks"),
        ([1], "entry 1 must be a network, not 1"),
        (["192.168.1.0/24", "192.168.1.0/33"], "entry 2: '192.168.1.0/33' is not a network"),
        (["192.168.1.7/24"], "is not a network address (did you mean 192.168.1.0/24?)"),
        (["0.0.0.0/0"], "cannot be reached through a gateway: it is the default route (remove it)"),
        (["fd00::/64"], "is not an IPv4Network"),
    ],
)
def test_a_bad_file_is_one_clear_error(document, message):
    with pytest.raises(ConfigError) as caught:
        parse(document, "file", POOLS)
    assert message in str(caught.value)


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "etc" / "boundary.yaml"
    for wanted in (boundary("10.0.0.0/24", "192.168.1.0/24"), Boundary()):
        write(path, wanted)
        assert read(path, POOLS) == wanted
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_no_file_and_no_yaml_are_errors_that_say_so(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no boundary file .* nothing is reachable"):
        read(tmp_path / "none", POOLS)
    (tmp_path / "bad").write_text("- [1\n")
    with pytest.raises(ConfigError, match="is not valid YAML at line 2"):
        read(tmp_path / "bad", POOLS)
