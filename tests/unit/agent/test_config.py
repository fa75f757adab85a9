"""The agent's configuration: the example file is current, bad values are named, the worker gets the same."""

import tomllib
from ipaddress import IPv4Network
from pathlib import Path

import pytest

import plantgate_agent
from plantgate_agent.config import ENVIRONMENT, AgentConfig, Pools, from_environment, to_environment
from plantgate_shared.config import example, load, parse
from plantgate_shared.errors import ConfigError

FOLDER = Path(__file__).parents[3] / "edge-agent"


def test_the_example_file_is_what_the_definitions_say():
    assert (FOLDER / "agent.example.yaml").read_text() == example(AgentConfig) + "\n"


def test_the_example_file_loads_and_changes_nothing(tmp_path):
    assert load(FOLDER / "agent.example.yaml", AgentConfig) == AgentConfig()


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"state_dri": "/x"}, "unknown key 'state_dri' (did you mean 'state_dir'?)"),
        ({"wireguard_port": 0}, "wireguard_port must be between 1 and 65535"),
        ({"log_level": "loud"}, "log_level must be one of debug, info, warning, error, not 'loud'"),
        ({"state_dir": "here"}, "state_dir must be an absolute path"),
        (
            {"pools": {"aliases": "100.64.0.0/16"}},
            "the pools profiles (100.64.0.0/10) and aliases (100.64.0.0/16) overlap",
        ),
    ],
)
def test_bad_values_are_named(document, message):
    with pytest.raises(ConfigError) as caught:
        parse(document, AgentConfig)
    assert message in str(caught.value)


def test_the_worker_is_given_the_same_configuration():
    config = AgentConfig(
        state_dir=Path("/a"),
        ca_file=Path("/ca.pem"),
        wireguard_port=1,
        pools=Pools(aliases=IPv4Network("10.99.0.0/16")),
    )
    assert from_environment(to_environment(config)) == config
    assert from_environment(to_environment(AgentConfig())) == AgentConfig()
    assert from_environment({}) is None
    assert list(to_environment(config)) == [ENVIRONMENT]


def test_the_version_is_the_packages():
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text())
    assert plantgate_agent.__version__ == project["project"]["version"]
