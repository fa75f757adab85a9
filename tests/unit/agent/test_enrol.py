"""Enrolment's dialogue: the boundary is the installer's decision, and nothing is sent before it is made."""

import ssl
from ipaddress import IPv4Network

import pytest

from plantgate_agent.boundary import Boundary, write
from plantgate_agent.config import AgentConfig
from plantgate_agent.enrol import Request, choose_boundary
from plantgate_agent.lans import Lan
from plantgate_agent.reach import unreachable
from plantgate_agent.state import HubUrl, parse_hub_url
from plantgate_shared.errors import InvalidInput

LAN, UPLINK = IPv4Network("192.168.1.0/24"), IPv4Network("10.40.0.0/24")
LANS = (Lan(LAN, "lan0", uplink=False, proposed=True), Lan(UPLINK, "wan0", uplink=True))
HUB = HubUrl("hub.example")


@pytest.fixture
def config(tmp_path):
    return AgentConfig(state_dir=tmp_path / "state", boundary_file=tmp_path / "boundary.yaml")


def choose(config, answers=None, lans=LANS, **request):
    """The boundary chosen, and what was said; `answers` are the person's lines, None where there is no person."""
    said: list[str] = []
    remaining = iter(answers or ())
    ask = None if answers is None else (lambda _: next(remaining))
    return choose_boundary(config, Request(HUB, "code", **request), lans, ask, said.append), said


def networks(*texts: IPv4Network | str) -> Boundary:
    return Boundary.of(IPv4Network(text) for text in texts)


def test_enter_accepts_what_is_proposed(config):
    chosen, said = choose(config, [""])
    assert chosen == networks(LAN)
    assert said[1:] == ["  * 192.168.1.0/24 (on lan0)", "    10.40.0.0/24 (on wan0, also the way to the Internet)"]


def test_a_person_may_name_others_and_is_asked_again_after_a_mistake(config):
    chosen, said = choose(config, ["192.168.1.7/24", "0.0.0.0/0", "10.1.0.0/16, 10.2.0.0/16"])
    assert chosen == networks("10.1.0.0/16", "10.2.0.0/16")
    assert "did you mean 192.168.1.0/24?" in said[-2]
    assert "it is the default route" in said[-1]


def test_no_means_no(config):
    with pytest.raises(InvalidInput, match="the code was not used"):
        choose(config, ["no"])


def test_unattended_needs_a_file_or_yes(config, tmp_path):
    with pytest.raises(InvalidInput, match="are not confirmed"):
        choose(config)
    assert choose(config, yes=True)[0] == networks(LAN)
    write(tmp_path / "given.yaml", networks("10.9.0.0/24"))
    assert choose(config, boundary_file=tmp_path / "given.yaml")[0] == networks("10.9.0.0/24")


def test_nothing_to_propose_is_an_error_and_not_an_open_door(config):
    with pytest.raises(InvalidInput, match="names no network"):
        choose(config, yes=True, lans=())


def test_a_boundary_that_is_there_is_kept_unless_it_is_to_be_replaced(config):
    write(config.boundary_file, networks("10.3.0.0/24"))
    assert choose(config)[0] == networks("10.3.0.0/24")
    assert choose(config, yes=True, replace=True)[0] == networks(LAN)


@pytest.mark.parametrize(
    ("text", "url", "shown"),
    [
        ("https://hub.example", HubUrl("hub.example"), "https://hub.example"),
        ("hub.example:8443", HubUrl("hub.example", 8443), "https://hub.example:8443"),
        ("https://[fd00::1]:444/", HubUrl("fd00::1", 444), "https://[fd00::1]:444"),
    ],
)
def test_hub_addresses(text, url, shown):
    assert parse_hub_url(text) == url
    assert str(url) == shown
    assert parse_hub_url(shown) == url


@pytest.mark.parametrize(
    "text", ["http://hub", "https://", "https://hub/path", "https://hub:99999", "ftp://x", "https://u@h"]
)
def test_what_is_no_hub_address(text):
    with pytest.raises(InvalidInput):
        parse_hub_url(text)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(), "nothing listens there"),
        (TimeoutError(), "it does not answer"),
        (ssl.SSLError(1, "x"), "it does not speak TLS as expected"),
        (OSError(101, "Network is unreachable"), "Network is unreachable"),
    ],
)
def test_a_hub_out_of_reach_is_one_sentence_with_a_remedy(error, words):
    told = unreachable(HUB, error)
    assert words in told.message
    assert told.hint
    assert "\n" not in str(told)
