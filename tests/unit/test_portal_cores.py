"""The portal's pure parts: overlaps in groups, lists in pages, moments, the look, and what its scripts may do."""

import re
from importlib import resources
from ipaddress import IPv4Network
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from plantgate_hub.domain.model import PersonId, PlantId, Route, RouteState, SubnetId
from plantgate_hub.portal import error_texts
from plantgate_hub.portal.catalogue import Language
from plantgate_hub.portal.desk import matches, paged
from plantgate_hub.portal.error_texts import in_language
from plantgate_hub.portal.look import COOKIE, Look, Theme, chosen, read
from plantgate_hub.portal.moments import machine_moment, read_moment, show_moment
from plantgate_hub.portal.overview import split_overlaps
from plantgate_hub.store.ids import made_at, new_id
from plantgate_shared.errors import InvalidInput

NETWORKS = [
    IPv4Network(text)
    for text in (
        "192.168.0.0/22",
        "192.168.1.0/24",
        "192.168.1.128/25",
        "192.168.3.0/24",
        "192.168.4.0/24",
        "10.0.0.0/8",
    )
]


def route(number: int, network: IPv4Network, state: RouteState = RouteState.REACHABLE) -> Route:
    return Route(PersonId("p"), SubnetId(f"s{number}"), PlantId(f"plant{number}"), network, state)


@given(st.lists(st.tuples(st.sampled_from(NETWORKS), st.sampled_from(RouteState)), max_size=12))
def test_routes_are_grouped_exactly_when_they_overlap(rows: list[tuple[IPv4Network, RouteState]]):
    routes = [route(number, network, state) for number, (network, state) in enumerate(rows)]
    overlaps, single = split_overlaps(routes)
    grouped = [r for overlap in overlaps for r in overlap.routes]
    assert sorted([*grouped, *single], key=lambda r: r.subnet) == sorted(routes, key=lambda r: r.subnet)
    for r in routes:
        rivals = [other for other in routes if other is not r and other.network.overlaps(r.network)]
        assert (r in grouped) == bool(rivals)
        for overlap in overlaps:
            if r in overlap.routes:
                assert set(map(id, rivals)) <= set(map(id, overlap.routes))


def test_the_winner_is_the_one_that_has_the_range():
    states = (RouteState.DISABLED, RouteState.CONFLICT, RouteState.NOT_YET_REACHABLE)
    (overlap,), _ = split_overlaps([route(n, NETWORKS[1], state) for n, state in enumerate(states)])
    assert overlap.winner is not None
    assert overlap.winner.subnet == "s2"
    assert [r.subnet for r in overlap.routes] == ["s2", "s1", "s0"]
    names = {PlantId(f"plant{n}"): name for n, name in enumerate(("North", "West", "South"))}
    assert overlap.names(names, "and") == "South, West and North"
    (overlap,), _ = split_overlaps([route(n, NETWORKS[1], RouteState.DISABLED) for n in range(2)])
    assert overlap.winner is None


@pytest.mark.parametrize(
    ("asked", "number", "rows"),
    [
        ("1", 1, [0, 1]),
        ("3", 3, [4]),
        ("99", 3, [4]),
        ("0", 1, [0, 1]),
        ("-1", 1, [0, 1]),
        ("x", 1, [0, 1]),
        ("²", 1, [0, 1]),
    ],
)
def test_pages_of_a_list(asked: str, number: int, rows: list[int]):
    page = paged(range(5), cast(Any, SimpleNamespace(query={"page": asked})), 2)
    assert (page.number, list(page.rows), page.pages, page.total) == (number, rows, 3, 5)


def test_a_search_finds_all_words_in_any_place():
    assert matches("NORD 192.168", "Solarpark Nord", "192.168.1.0/24")
    assert not matches("nord süd", "Solarpark Nord")
    assert matches("", "anything")


def test_moments_are_utc_there_and_back():
    at = read_moment("2031-05-17T18:00", "end")
    assert at is not None
    assert show_moment(at) == "2031-05-17 18:00 UTC"
    assert machine_moment(at) == "2031-05-17T18:00:00Z"
    assert read_moment("  ", "end") is None


@pytest.mark.parametrize(
    "text", ["2031-02-30T10:00", "tomorrow", "2031-05-17", "2031-05-17T18:00+02:00", "99999-01-01T00:00"]
)
def test_what_is_no_moment_is_named(text: str):
    with pytest.raises(InvalidInput, match="the end is no date"):
        read_moment(text, "end")


def test_an_identifier_says_when_it_was_made():
    at = made_at(new_id())
    assert at is not None
    assert at > 1_700_000_000
    assert made_at("org") is None
    assert made_at("123e4567-e89b-42d3-a456-426614174000") is None  # version 4


@given(st.sampled_from(Theme), st.sampled_from([None, *Language]))
def test_a_look_is_read_as_it_was_kept(theme: Theme, language: Language | None):
    look = Look(theme, language)
    cookie = look.cookie().partition(";")[0]
    assert cookie.startswith(COOKIE)
    request = SimpleNamespace(headers=CIMultiDict({"Cookie": cookie}))
    assert chosen(cast(Any, request)) == look


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_strange_choice_changes_nothing(theme: str, language: str):
    before = Look(Theme.DARK, Language.GERMAN)
    after = read(theme, language, before)
    assert after.theme in Theme
    assert theme in tuple(Theme) or after.theme is Theme.DARK
    assert language in tuple(Language) or after.language is Language.GERMAN


# Errors in German


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("'10.0.0.1/8' is not a network address", "'10.0.0.1/8' ist keine Netzadresse"),
        ("10.7.0.1 is in none of the plant's subnets", "10.7.0.1 liegt in keinem Netz der Anlage"),
        ("the name is longer than 100 characters", "Name: Höchstens 100 Zeichen"),
        ("192.168.1.0/24 holds the device 'Meter'", "In 192.168.1.0/24 liegt das Gerät 'Meter'"),
    ],
)
def test_a_services_message_in_german(english: str, german: str):
    assert in_language(english, Language.GERMAN) == german
    assert in_language(english, Language.ENGLISH) == english
    assert in_language("something that nobody translated", Language.GERMAN) is None


def test_each_translated_message_is_one_that_can_come():
    """With as many gaps on both sides, and to be found in the sources: otherwise it was reworded there."""
    package = resources.files("plantgate_hub")
    sources = "".join(
        file.read_text(encoding="utf-8")
        for folder in ("services", "domain", "portal")
        for file in package.joinpath(folder).iterdir()
        if file.name.endswith(".py") and file.name != "error_texts.py"
    )
    for english, german in error_texts.GERMAN.items():
        assert english.count("{}") == german.count("{}"), english
        assert all(part in sources for part in english.split("{}")), english


# Scripts


def script(name: str) -> str:
    text = resources.files("plantgate_hub.portal").joinpath("static", name).read_text(encoding="utf-8")
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)


def test_the_module_that_holds_private_keys_has_no_way_out():
    keys = script("keys.js")
    assert not re.search(
        r"\b(fetch|XMLHttpRequest|sendBeacon|WebSocket|EventSource|import|localStorage|document)\b", keys
    )


def test_the_private_key_goes_from_its_maker_into_the_file_and_nowhere_else():
    """The browser tests look at every request; this says where to look first when they fail."""
    uses = [line.strip() for line in script("profile.js").splitlines() if "privateKey" in line]
    assert uses == [
        "const { publicKey, privateKey } = await makeKeyPair();",
        "handOver(completeFile(made.config, made.placeholder, privateKey));",
    ]


@pytest.mark.parametrize("name", ["portal.js", "live.js", "profile.js", "keys.js", "copy.js", "moments.js"])
def test_scripts_are_ours_alone_and_write_no_html(name: str):
    text = script(name)
    writes = r"innerHTML\s*\+?=(?!=)|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function"
    assert not re.search(writes, text)
    assert all(path.startswith("./") for path in re.findall(r'from "([^"]+)"', text))
