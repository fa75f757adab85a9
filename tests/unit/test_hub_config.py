"""The hub's configuration file: defaults, the checks between keys, and the example kept current."""

from pathlib import Path

import pytest

from plantgate_hub.config import HubConfig
from plantgate_shared.config import example, load, parse
from plantgate_shared.errors import ConfigError

EXAMPLE = Path(__file__).parents[2] / "hub" / "hub.example.yaml"


def test_the_example_file_is_generated_from_the_definitions():
    assert EXAMPLE.read_text() == example(HubConfig) + "\n"


def test_the_example_file_is_a_valid_configuration():
    assert load(EXAMPLE, HubConfig) == HubConfig()


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"pools": {"aliases": "100.64.0.0/16"}}, "pools: the pools profiles (100.64.0.0/10) and aliases"),
        ({"pools": {"profiles": "100.64.0.0/24"}}, "too small"),
        ({"web": {"devices_domain": "devices.portal.localhost"}}, "must not lie within each other"),
        ({"web": {"port": 70000}}, "70000 is not a TCP port"),
        ({"tls": {"certificate": "/x.pem"}}, "belong together"),
        ({"vpn": {"users_port": 51821}}, "must differ"),
        ({"mail": {"host": "mail.example.com"}}, "sender must be an e-mail address"),
        ({"mail": {"user": "hub"}}, "user and password_file belong together"),
        ({"mail": {"user": "hub", "password_file": "/x", "security": "none"}}, "would travel in the clear"),
        ({"mail": {"port": 0}}, "0 is not a TCP port"),
        ({"vpm": {}}, "unknown key 'vpm' (did you mean 'vpn'?)"),
    ],
)
def test_one_clear_error(document, message):
    with pytest.raises(ConfigError) as caught:
        parse(document, HubConfig)
    assert message in str(caught.value)
