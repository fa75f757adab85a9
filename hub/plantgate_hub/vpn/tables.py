"""Between steps and nft's text: commands that apply a step, and the table's contents from a listing."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network

from . import rules
from .plan import Grant, Revoke, Sweep, TableState
from .state import ProfileElements, VpnSettings

_ELEMENTS = re.compile(r"elements = \{([^}]*)\}")
_SECTION = re.compile(r"^\t(?:map|set) (\w+) \{$", re.MULTILINE)
_AT_ONCE = 500
"""Elements parsed between two pauses: well below a millisecond."""


def commands(step: Revoke | Grant | Sweep) -> str:
    """The step as one transaction."""
    match step:
        case Revoke(allowed, ids):
            return _elements("delete", "allowed", map(_pair, allowed)) + _elements("delete", "plant_id", map(str, ids))
        case Grant(ids, instead_of, plants, allowed):
            return (
                _elements("add", "plant_id", (f"{prefix} : {number}" for prefix, number in ids))
                + _elements("delete", "plants", (_key(*key) for key in instead_of))
                + _elements("add", "plants", (f"{_key(*key)} : {transit}" for key, transit in plants))
                + _elements("add", "allowed", map(_pair, allowed))
            )
        case Sweep(keys):
            return _elements("delete", "plants", (_key(*key) for key in keys))


def replacement(settings: VpnSettings, contents: TableState) -> str:
    """One transaction that puts tables with these contents in the place of whatever is there."""
    profiles = contents.profiles.items()
    plants = ((address, item) for address, elements in profiles for item in elements.plants.items())
    return (
        rules.replacement(settings)
        + _elements("add", "plant_id", (f"{prefix} : {number}" for prefix, number in contents.plant_id.items()))
        + _elements("add", "plants", (f"{_key(address, prefix)} : {to}" for address, (prefix, to) in plants))
        + _elements("add", "allowed", (_pair((address, n)) for address, e in profiles for n in sorted(e.allowed)))
    )


def parse(listing: str, expected_rules: str, pause: Callable[[], None] = lambda: None) -> TableState:
    """The contents of the listed IPv4 table. What cannot be ours makes the state not intact.

    `expected_rules` is `rules_of` the listing of an empty table with our rules. `pause` is called every now and
    then, so that parsing fifty thousand elements does not keep other threads from running.
    """
    texts = _element_texts(listing)
    try:
        plants = [
            (_address(who.strip()), _network(where.strip()), _network(to.strip()))
            for who, where, to in _split(texts.pop("plants", ""), pause, r"(.+?) \. (.+?) : (.+)")
        ]
        allowed = [
            (_address(who.strip()), int(number, 16))
            for who, number in _split(texts.pop("allowed", ""), pause, r"(.+?) \. (0x[0-9a-f]+)")
        ]
        plant_id = {
            _network(prefix.strip()): int(number, 16)
            for prefix, number in _split(texts.pop("plant_id", ""), pause, r"(.+?) : (0x[0-9a-f]+)")
        }
    except ValueError:  # a range, a timeout, a comment: nothing that we put there
        return TableState(intact=False)
    intact = not texts and rules_of(listing) == expected_rules
    return TableState(_grouped(plants, allowed), plant_id, intact)


def rules_of(listing: str) -> str:
    """A listing without elements and blank lines: what `parse` compares."""
    return "\n".join(line for line in _ELEMENTS.sub("", listing).splitlines() if line.strip())


def rules_of_reference(listing: str, name: str) -> str:
    """`rules_of` the listing of a dormant reference table, as the live table of this name would print them."""
    text = rules_of(listing).replace(rules.REFERENCE, name, 1)
    return "\n".join(line for line in text.splitlines() if line.strip() != "flags dormant")


def _elements(verb: str, name: str, elements: Iterable[str]) -> str:
    joined = ",".join(elements)
    return f"{verb} element ip {rules.TABLE} {name} {{ {joined} }}\n" if joined else ""


def _key(address: IPv4Address, prefix: IPv4Network) -> str:
    return f"{address} . {prefix}"


def _pair(pair: tuple[IPv4Address, int]) -> str:
    return f"{pair[0]} . {pair[1]}"


def _element_texts(listing: str) -> dict[str, str]:
    """The text between the braces of `elements = { … }`, by the name of the set or map."""
    texts = {}
    for found in _ELEMENTS.finditer(listing):
        header = listing.rfind("\n\t", 0, listing.rfind("\n\t\ttype", 0, found.start()) + 1)
        section = _SECTION.search(listing, header + 1)
        texts[section.group(1) if section else ""] = found.group(1)
    return texts


def _split(text: str, pause: Callable[[], None], pattern: str) -> Iterator[tuple[str, ...]]:
    shape = re.compile(pattern)
    for index, element in enumerate(text.split(",") if text else ()):
        if index % _AT_ONCE == 0:
            pause()
        found = shape.fullmatch(element.strip())
        if found is None:
            raise ValueError(f"{element!r} is not an element of ours")
        yield found.groups()


def _grouped(
    plants: Iterable[tuple[IPv4Address, IPv4Network, IPv4Network]], allowed: Iterable[tuple[IPv4Address, int]]
) -> dict[IPv4Address, ProfileElements]:
    entries: dict[IPv4Address, dict[IPv4Network, IPv4Network]] = {}
    numbers: dict[IPv4Address, set[int]] = {}
    for address, prefix, transit in plants:
        entries.setdefault(address, {})[prefix] = transit
    for address, number in allowed:
        numbers.setdefault(address, set()).add(number)
    return {
        address: ProfileElements(entries.get(address, {}), frozenset(numbers.get(address, ())))
        for address in entries.keys() | numbers.keys()
    }


# The same few addresses and prefixes come up in thousands of elements.
@lru_cache(maxsize=100_000)
def _address(text: str) -> IPv4Address:
    return IPv4Address(text)


@lru_cache(maxsize=100_000)
def _network(text: str) -> IPv4Network:
    return IPv4Network(text)
