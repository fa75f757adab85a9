"""Values for a JSON schema, and values that are not for it, as Hypothesis strategies."""

from typing import Any

from hypothesis import strategies as st

from tests.api.site import DOCUMENT

ODD_TEXTS = (
    "",
    " ",
    "\x00",
    "a" * 3000,
    "‮txt.exe",
    "é\u0301\u0327",
    "💥" * 40,
    "../../etc/passwd",
    "%2e%2e%2f",
    "'; DROP TABLE plants; --",
    "{plant}",
    "\r\nX-Header: 1",
    "1e999",
    "-0",
    "192.168.1.0/24",
)
EDGES_OF_TIME = ("9999-12-31T23:59:59.999999-23:59", "0001-01-01T00:00:00+23:59", "2030-01-01T00:00:00", "1e300")
odd_texts = st.sampled_from(ODD_TEXTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | odd_texts
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(odd_texts, inner, max_size=4), max_leaves=8
)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """What a reference refers to; the schema itself otherwise."""
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def values_for(schema: dict[str, Any], ids: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Values that the schema allows; texts are often ids of the world."""
    schema = resolved(schema)
    if "anyOf" in schema:
        return st.one_of([values_for(one, ids) for one in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("format") == "date-time":
        return st.sampled_from(EDGES_OF_TIME) | st.datetimes().map(lambda moment: moment.isoformat() + "Z")
    match schema["type"]:
        case "object":
            return _objects(schema, ids)
        case "string":
            longest = schema.get("maxLength", 100)
            return st.one_of(ids, odd_texts).filter(lambda text: schema.get("minLength", 0) <= len(text) <= longest)
        case "integer":
            return st.integers(schema["minimum"], schema["maximum"])
        case "boolean":
            return st.booleans()
    return st.none()


@st.composite
def _objects(draw: st.DrawFn, schema: dict[str, Any], ids: st.SearchStrategy[str]) -> dict[str, Any]:
    required = schema.get("required", [])
    return {
        name: draw(values_for(member, ids))
        for name, member in schema["properties"].items()
        if name in required or draw(st.booleans())
    }


@st.composite
def bodies(draw: st.DrawFn, good: Any, schema: dict[str, Any], ids: st.SearchStrategy[str]) -> Any:
    """A good body, one that the schema allows, either with a member that is wrong, missing or unknown, or anything."""
    kind = draw(st.sampled_from(["good", "good", "allowed", "allowed", "spoiled", "spoiled", "anything"]))
    if kind == "anything":
        return draw(anything)
    body = dict(good) if kind == "good" or draw(st.booleans()) else draw(values_for(schema, ids))
    if kind == "spoiled":
        name = draw(st.sampled_from(sorted(schema["properties"])) | odd_texts)
        if draw(st.booleans()):
            body.pop(name, None)
        else:
            body[name] = draw(anything)
    return body
