"""Configuration files: what is accepted, and the one clear error for what is not."""

from dataclasses import dataclass
from ipaddress import IPv4Network

import pytest

from plantgate_shared.config import example, option, parse
from plantgate_shared.errors import ConfigError


@dataclass(frozen=True)
class Pools:
    profiles: IPv4Network = option(IPv4Network("100.64.0.0/10"), "Tunnel addresses of people.")


@dataclass(frozen=True)
class Sample:
    name: str = option(doc="Name of the node.")
    port: int = option(8443, "Port to listen on.")
    tags: tuple[str, ...] = option((), "Free labels.")
    pools: Pools = option(Pools, "Address pools.")


def test_defaults_fill_what_is_not_named():
    assert parse({"name": "a"}, Sample) == Sample(name="a")
    assert parse({"name": "a", "pools": None}, Sample) == Sample(name="a")


def test_nested_values_are_typed():
    parsed = parse({"name": "a", "pools": {"profiles": "100.80.0.0/12"}, "tags": ["x"]}, Sample)
    assert parsed.pools.profiles == IPv4Network("100.80.0.0/12")
    assert parsed.tags == ("x",)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"name": "a", "prot": 1}, "unknown key 'prot' (did you mean 'port'?)"),
        ({"name": "a", "pools": {"profile": "x"}}, "pools: unknown key 'profile' (did you mean 'profiles'?)"),
        ({}, "the key 'name' is missing"),
        ({"name": "a", "port": "many"}, "port must be a whole number, not 'many'"),
        ({"name": "a", "port": True}, "port must be a whole number, not true"),
        ({"name": "a", "pools": {"profiles": "100.64.0.1/10"}}, "not a network address (did you mean 100.64.0.0/10?)"),
        ({"name": "a", "pools": 3}, "pools must be a mapping of keys, not 3"),
        (["name"], "must be a mapping of keys, not a list"),
    ],
)
def test_one_clear_error_names_cause_and_remedy(document, message):
    with pytest.raises(ConfigError) as caught:
        parse(document, Sample)
    assert message in str(caught.value)


def test_example_documents_every_key():
    text = example(Sample)
    assert "# Name of the node.\nname: ..." in text
    assert "# port: 8443" in text
    assert "  # profiles: 100.64.0.0/10" in text
