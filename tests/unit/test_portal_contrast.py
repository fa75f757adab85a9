"""The portal's colours: every pair of text and ground that the style sheets put together, in both themes."""

import re
from importlib import resources

import pytest

STATIC = resources.files("plantgate_hub.portal").joinpath("static")
TEXT, PART = 4.5, 3.0
"""WCAG 2.2 AA: 1.4.3 for text, 1.4.11 for what shows a control or its state."""

GROUNDS = ("ground", "surface", "sunken")
PAIRS = [
    *((ink, ground, TEXT) for ink in ("ink", "soft", "brand") for ground in GROUNDS),
    *((kind, "surface", TEXT) for kind in ("good", "wait", "bad", "off")),
    *((kind, f"{kind}-wash", TEXT) for kind in ("brand", "good", "wait", "bad", "off")),
    ("brand-ink", "brand", TEXT),
    ("brand-ink", "brand-hover", TEXT),
    ("bad-ink", "bad", TEXT),
    ("ink", "wait-wash", TEXT),
    ("ink", "off-wash", TEXT),
    ("ground", "ink", TEXT),  # the note that a page has changed
    *(("edge", ground, PART) for ground in GROUNDS),
    *(("brand", ground, PART) for ground in GROUNDS),  # the focus ring
]


def tokens() -> dict[str, tuple[str, str]]:
    style = STATIC.joinpath("plantgate.css").read_text(encoding="utf-8")
    found = re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", style)
    return {name: (light, dark) for name, light, dark in found}


def luminance(colour: str) -> float:
    """WCAG's relative luminance of #rrggbb."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_measure_is_wcags():
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_pair_can_be_read(theme: str):
    colours = {name: pair[theme == "dark"] for name, pair in tokens().items()}
    low = {
        (front, back): round(ratio, 2)
        for front, back, least in PAIRS
        if (ratio := contrast(colours[front], colours[back])) < least
    }
    assert low == {}


@pytest.mark.parametrize("name", ["plantgate.css", "pages.css"])
def test_colours_come_from_tokens_and_nothing_from_elsewhere(name: str):
    style = STATIC.joinpath(name).read_text(encoding="utf-8")
    used = set(re.findall(r"var\(--([\w-]+)\)", style))
    assert used <= set(tokens()) | {"shade", "round", "touch", "sans", "mono"}
    rules = re.sub(r"light-dark\([^;]*;", "", style)
    literal = re.findall(r"#[0-9a-fA-F]{3,8}\b(?!\s*\{)", rules)
    assert set(literal) <= {"#fff"}  # behind a QR code, whatever the theme
    assert not re.search(r"url\(|@import|@font-face", style)


def test_what_is_touched_is_large_enough():
    style = STATIC.joinpath("plantgate.css").read_text(encoding="utf-8")
    touch = re.search(r"--touch: ([\d.]+)rem", style)
    assert touch
    assert float(touch[1]) * 16 >= 44
    for selector in (r"\.button", r'input:not\(\[type="hidden"\]\), select'):
        rule = re.search(selector + r" \{([^}]*)\}", style)
        assert rule
        assert "min-height: var(--touch)" in rule[1]
