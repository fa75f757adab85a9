"""The OpenAPI document: well-formed as OpenAPI 3.1 asks, complete, and in step with the documentation."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plantgate_hub.api.documentation import render
from plantgate_hub.api.operation import API
from plantgate_hub.api.schema import JobName
from plantgate_hub.domain.model import Job
from plantgate_hub.domain.scopes import TokenScope
from tests.api.site import DOCUMENT, ApiSite

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
SCHEMA_WORDS = {
    "$ref", "additionalProperties", "anyOf", "const", "default", "description", "enum", "exclusiveMaximum",
    "exclusiveMinimum", "format", "items", "maxItems", "maxLength", "maximum", "minItems", "minLength", "minimum",
    "pattern", "properties", "required", "title", "type",
}  # fmt: skip


def inside(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in the document."""
    if isinstance(value, dict):
        yield value
        for one in value.values():
            yield from inside(one)
    elif isinstance(value, list):
        for one in value:
            yield from inside(one)


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, described in methods.items():
            yield path, method, described


async def test_it_is_served_to_everyone(site: ApiSite):
    reply = await site.call("GET", "/openapi.json", "")
    assert reply.json == DOCUMENT
    assert reply.json["openapi"].startswith("3.1.")


def test_it_has_every_operation_once():
    names = [described["operationId"] for _, _, described in operations()]
    assert sorted(names) == sorted(operation.name for operation in API)
    assert len(set(names)) == len(names)
    assert {tag for _, _, described in operations() for tag in described["tags"]} == {
        tag["name"] for tag in DOCUMENT["tags"]
    }


def test_every_reference_leads_somewhere():
    found = 0
    for value in inside(DOCUMENT):
        if "$ref" in value:
            target: Any = DOCUMENT
            for part in value["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            found += 1
    assert found > 100


def test_path_parameters_are_those_of_the_path():
    for path, _, described in operations():
        parameters = described.get("parameters", [])
        assert re.findall(r"{(\w+)}", path) == [p["name"] for p in parameters if p["in"] == "path"]
        assert all(p["required"] for p in parameters if p["in"] == "path")
        assert len({(p["in"], p["name"]) for p in parameters}) == len(parameters)


def test_every_operation_is_described():
    for path, method, described in operations():
        assert described["summary"], (path, method)
        assert described["security"][-1] == {"session": []}
        scopes = [scope for one in described["security"] for scope in one.get("token", [])]
        assert set(scopes) <= set(TokenScope)
        assert not scopes or (scopes == ["read"]) == (method == "get")
        success = [status for status in described["responses"] if status.startswith("2")]
        assert success, (path, method)
        assert {"401", "403", "500", "503"} <= set(described["responses"])
        if method in ("put", "patch", "delete"):
            assert {"404", "412", "428"} <= set(described["responses"])
            assert any(p["name"] == "If-Match" for p in described["parameters"])
        assert ("requestBody" in described) <= (method in ("post", "put", "patch"))


def test_bodies_are_closed_and_bounded():
    for _, _, described in operations():
        if "requestBody" not in described:
            continue
        reference = described["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        schema = DOCUMENT["components"]["schemas"][reference.rpartition("/")[2]]
        assert schema["additionalProperties"] is False
        for name, member in schema["properties"].items():
            for one in member.get("anyOf", [member]):
                if one.get("type") == "string":
                    assert "maxLength" in one or "format" in one or "enum" in one, (reference, name)
                if one.get("type") == "integer":
                    assert {"minimum", "maximum"} <= set(one), (reference, name)


def test_schemas_use_known_words():
    for schema in DOCUMENT["components"]["schemas"].values():
        for value in inside({k: v for k, v in schema.items() if k != "properties"}):
            assert set(value) <= SCHEMA_WORDS, value
        for member in schema.get("properties", {}).values():
            for value in inside(member):
                assert set(value) <= SCHEMA_WORDS, value


def test_the_documentation_lists_these_operations():
    page = PAGE.read_text(encoding="utf-8")
    assert page == render(page), "run: python -m plantgate_hub.api.documentation docs/api.md"


def test_jobs_are_the_domain_s():
    assert [name.name for name in JobName] == [job.name for job in Job]
    assert all(JobName.of(job).job is job for job in Job)
