"""What a page must be, whatever it shows: parsed, and checked by one function."""

import re
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "source",
        "track",
        "wbr",
        "circle",
        "path",
        "rect",
    ]
)
CONTROLS = frozenset({"input", "select", "textarea"})
FOREIGN = re.compile(r"^(https?:)?//")
OWN = re.compile(r"^https://([a-z0-9-]+\.devices|portal)\.localhost:8443(/|$)")


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    parent: "Element | None"
    children: "list[Element]" = field(default_factory=list)
    text: str = ""

    def all(self, *tags: str) -> "list[Element]":
        own = [self] if not tags or self.tag in tags else []
        return [*own, *(found for child in self.children for found in child.all(*tags))]

    @property
    def words(self) -> str:
        """Its text and that of its children, spaces folded."""
        return " ".join(" ".join((self.text, *(child.words for child in self.children))).split())

    def has_parent(self, tag: str) -> bool:
        return self.parent is not None and (self.parent.tag == tag or self.parent.has_parent(tag))

    def get(self, name: str) -> str:
        return self.attributes.get(name, "")


class Document(HTMLParser):
    """A strict parser: what is opened must be closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.root = Element("", {}, None)
        self._at = self.root
        self.feed(text)
        self.close()
        assert self._at is self.root, f"<{self._at.tag}> is never closed"

    def handle_starttag(self, tag: str, attributes: "list[tuple[str, str | None]]") -> None:
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice: {names}"
        element = Element(tag, {name: value or "" for name, value in attributes}, self._at)
        self._at.children.append(element)
        if tag not in VOID:
            self._at = element

    def handle_startendtag(self, tag: str, attributes: "list[tuple[str, str | None]]") -> None:
        self._at.children.append(Element(tag, {name: value or "" for name, value in attributes}, self._at))

    def handle_endtag(self, tag: str) -> None:
        assert self._at.tag == tag, f"</{tag}> where <{self._at.tag}> is open"
        assert self._at.parent is not None
        self._at = self._at.parent

    def handle_data(self, data: str) -> None:
        self._at.text += data + " "

    def all(self, *tags: str) -> list[Element]:
        return self.root.all(*tags)

    def by_id(self, identifier: str) -> Element | None:
        return next((element for element in self.all() if element.get("id") == identifier), None)


def check(text: str, policy: str, language: str) -> Document:
    """The page, if it is well made; AssertionError names what is not."""
    page = Document(text)
    (html,) = page.all("html")
    assert html.get("lang") == language
    assert [title.words for title in page.all("title")] != [""]
    _check_structure(page)
    _check_controls(page)
    _check_harmless(page, policy)
    return page


def _check_structure(page: Document) -> None:
    assert len(page.all("h1")) == 1, "one h1"
    assert len(page.all("main")) == 1, "one main"
    level = 0
    for heading in page.all("h1", "h2", "h3", "h4"):
        if not heading.has_parent("template"):
            assert int(heading.tag[1]) <= level + 1, f"<{heading.tag}> {heading.words!r} skips a level"
            level = int(heading.tag[1])
        assert heading.words, "an empty heading"
    identifiers = Counter(element.get("id") for element in page.all() if "id" in element.attributes)
    assert [name for name, count in identifiers.items() if count > 1] == [], "ids are unique"
    for element in page.all():
        for name in ("aria-labelledby", "aria-describedby", "for"):
            for wanted in element.get(name).split():
                assert wanted in identifiers, f"{name}={wanted!r} points nowhere"
    navigations = [n.get("aria-label") for n in page.all("nav")]
    assert len(navigations) == len(set(navigations)), "navigations have names of their own"


def _check_controls(page: Document) -> None:
    labelled = {label.get("for") for label in page.all("label") if label.words}
    for control in page.all(*CONTROLS):
        if control.get("type") != "hidden":
            assert control.get("id") in labelled, f"{control.attributes} has no label"
    for active in page.all("a", "button", "summary"):
        assert active.words or active.get("aria-label"), f"<{active.tag}> {active.attributes} has no name"
    for form in page.all("form"):
        assert form.get("method") in ("get", "post")
        buttons = form.all("button")
        assert buttons, f"{form.attributes} has no button: it would need script"
    for image in page.all("img"):
        assert "alt" in image.attributes


def _check_harmless(page: Document, policy: str) -> None:
    for element in page.all():
        assert not [name for name in element.attributes if name.startswith("on") or name == "style"], element.attributes
        assert element.tag != "style" or not element.words
        if element.tag == "script":
            assert element.get("src").startswith("/static/")
            assert not element.words
        for name in ("href", "src", "action", "formaction", "srcset", "poster", "data"):
            value = element.get(name)
            assert not FOREIGN.match(value) or OWN.match(value), f"{name}={value}"
            assert not value.lower().startswith(("javascript:", "data:"))
    sources = dict(part.strip().partition(" ")[::2] for part in policy.split(";"))
    assert sources["default-src"] == "'none'"
    assert sources["script-src"] == sources["connect-src"] == sources["style-src"] == "'self'"
    assert sources["base-uri"] == sources["frame-ancestors"] == "'none'"
    assert "unsafe" not in policy
