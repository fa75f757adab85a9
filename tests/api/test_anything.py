"""Whatever is sent, the API answers as declared: never a 5xx, a problem for every error, a valid answer otherwise.

`site.call` holds each reply against its operation. People, ids, bodies, queries and conditions are drawn from what is
there, what is not, and what nobody should send.
"""

from typing import Any, TypeVar
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plantgate_hub.api.operation import Operation, Tag
from tests.api.samples import IN_WEST, SAMPLES, STANDARD, path_of, sample_body
from tests.api.schemas import bodies, odd_texts, resolved
from tests.api.site import DOCUMENT, OPERATIONS, ApiSite

HEADER_TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30)


T = TypeVar("T")


def mostly(usual: st.SearchStrategy[T], rare: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    return st.sampled_from([usual] * 5 + [rare]).flatmap(lambda chosen: chosen)


def draw_path(data: st.DataObject, site: ApiSite, operation: Operation) -> str:
    fitting = {**STANDARD, **SAMPLES[operation.name].where}

    def identifier(name: str) -> str:
        known = st.sampled_from([fitting[name]] * 4 + [IN_WEST.get(name, "west")]).map(site.id)
        other = st.sampled_from(sorted(site.world.ids.values())) | odd_texts.filter(bool)
        return quote(data.draw(mostly(known, other), label=name), safe="")

    path = path_of(operation, identifier)
    if operation.query is None or data.draw(st.booleans()):
        return path
    names = st.sampled_from(["limit", "cursor", "organization", "job", "confirm", "aliases_only", "other"])
    values = st.sampled_from(["1", "7", "true", "viewer", "x"]) | odd_texts
    pairs = data.draw(st.lists(st.tuples(names, values), max_size=3), label="query")
    return path + "?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)


def draw_request(data: st.DataObject, site: ApiSite, operation: Operation) -> dict[str, Any]:
    ids = st.sampled_from([*site.world.ids.values(), *site.world.people.values()])
    who = mostly(st.just(SAMPLES[operation.name].who), st.sampled_from(["ada", "tom", "wes", "root"]))
    request: dict[str, Any] = {"who": data.draw(who)}
    described = DOCUMENT["paths"][operation.path][operation.method.lower()]
    if operation.body is not None:
        schema = described["requestBody"]["content"]["application/json"]["schema"]
        good = sample_body(site, operation)
        raw = data.draw(mostly(st.none(), st.binary(max_size=60)), label="raw")
        request |= {"raw": raw} if raw else {"body": data.draw(bodies(good, resolved(schema), ids), label="body")}
    if operation.method in ("PUT", "PATCH"):  # what is there stays there: the later examples need it
        request["match"] = "*"
    elif operation.method == "DELETE" or (operation.method == "POST" and data.draw(mostly(st.just(0), st.just(1)))):
        request["match"] = data.draw(HEADER_TEXT.map(lambda text: f"x{text}x"), label="If-Match")
    return request


# Each example sends all of a chapter's operations.
@pytest.mark.parametrize("tag", Tag)
@settings(
    max_examples=settings().max_examples // 2,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
async def test_whatever_is_sent(site: ApiSite, tag: Tag, data: st.DataObject):
    for operation in (one for one in OPERATIONS.values() if one.tag is tag):
        path = draw_path(data, site, operation)
        await site.call(operation.method, path, **draw_request(data, site, operation), operation=operation)
