"""The OpenAPI 3.1 document, made from the operations and the models that they take and answer."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from .. import cookies
from . import operations
from .operation import API, Operation, Tag
from .problems import CONTENT_TYPE, STATUS, TITLES, Problem, ProblemDetails
from .repetition import HEADER
from .schema import MAX_IDENTIFIER, Page

VERSION = "3.1.1"
_PAGE = re.compile(r"Page\[(\w+?)(?:Answer)?\]")
_REFERENCE = "#/components/schemas/{model}"
_ALWAYS = frozenset(
    {
        Problem.UNAUTHENTICATED,
        Problem.SECOND_FACTOR,
        Problem.FORBIDDEN,
        Problem.SCOPE,
        Problem.INTERNAL,
        Problem.UNAVAILABLE,
    }
)
_BODY = frozenset({Problem.MALFORMED, Problem.TIMEOUT, Problem.TOO_LARGE, Problem.CONTENT_TYPE, Problem.INVALID})

Json = dict[str, Any]
__all__ = ["document", "operations", "problems_of"]


def document() -> Json:
    """The whole document, as JSON values."""
    schemas = _schemas()
    paths: dict[str, Json] = {}
    for operation in API:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": VERSION,
        "info": {
            "title": "Plantgate",
            "version": "1",
            "summary": "Remote access to plants: people, permissions, plants, VPN.",
            "description": "Ids are opaque. What is not yours to see is answered like what is not there.",
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}, {"session": []}],
        "tags": [{"name": tag} for tag in Tag],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "responses": {problem.value: _problem_response(problem, schemas) for problem in Problem},
            "headers": _HEADERS,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "An API token with the scope named."},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": cookies.PORTAL,
                    "description": "A browser that is signed in to the portal.",
                },
            },
        },
    }


def problems_of(operation: Operation) -> frozenset[Problem]:
    """All that the operation may answer instead of success."""
    found = set(_ALWAYS | operation.problems)
    if operation.parameters or operation.resource is not None:
        found.add(Problem.NOT_FOUND)
    if operation.body is not None:
        found |= _BODY
    if operation.query is not None or operation.resource is not None:
        found.add(Problem.INVALID)
    if operation.method != "GET":
        found.add(Problem.FOREIGN_REQUEST)
        if operation.resource is not None:
            found.add(Problem.STALE)
    if operation.needs_match:
        found.add(Problem.PRECONDITION)
    if operation.repeatable:
        found |= {Problem.KEY_REUSED, Problem.CONFLICT}
    return frozenset(found)


class _Names(GenerateJsonSchema):
    """Schemas are named as their readers know the things: `Plant` and `PlantPage`."""

    def normalize_name(self, name: str) -> str:
        return super().normalize_name(_PAGE.sub(r"\1Page", name).removesuffix("Answer"))


class _Schemas:
    """Component schemas, and references to them by model and use."""

    def __init__(self, uses: Iterable[tuple[type[BaseModel], Any]]) -> None:
        references, found = models_json_schema(
            list(dict.fromkeys(uses)), ref_template=_REFERENCE, schema_generator=_Names
        )
        self._references = references
        self.definitions: Mapping[str, Json] = found["$defs"]
        for definition in self.definitions.values():
            definition.pop("title", None)  # the classes' names

    def body(self, model: type[BaseModel]) -> Json:
        return self._references[model, "validation"]

    def answer(self, model: type[BaseModel]) -> Json:
        return self._references[model, "serialization"]


def _schemas() -> _Schemas:
    uses: list[tuple[type[BaseModel], Any]] = [(ProblemDetails, "serialization")]
    for operation in API:
        if operation.body is not None:
            uses.append((operation.body, "validation"))
        if operation.answer is not None:
            uses.append((operation.answer, "serialization"))
    return _Schemas(uses)


def _operation(operation: Operation, schemas: _Schemas) -> Json:
    described: Json = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
    }
    if operation.description:
        described["description"] = operation.description
    scopes = [] if operation.scope is None else [{"token": [str(operation.scope)]}]
    described["security"] = [*scopes, {"session": []}]
    parameters = [*_path_parameters(operation), *_query_parameters(operation), *_conditions(operation)]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        content = {"application/json": {"schema": schemas.body(operation.body)}}
        described["requestBody"] = {"required": True, "content": content}
    described["responses"] = _responses(operation, schemas)
    return described


def _path_parameters(operation: Operation) -> list[Json]:
    text = {"type": "string", "minLength": 1, "maxLength": MAX_IDENTIFIER}
    return [{"name": name, "in": "path", "required": True, "schema": text} for name in operation.parameters]


def _query_parameters(operation: Operation) -> list[Json]:
    if operation.query is None:
        return []
    schema = operation.query.model_json_schema()
    definitions = schema.get("$defs", {})
    parameters = []
    for name, described in schema["properties"].items():
        described = _without_references(described, definitions)
        parameter = {"name": name, "in": "query", "required": name in schema.get("required", [])}
        text = described.pop("description", "")
        parameters.append({**parameter, "description": text, "schema": described})
    return parameters


def _without_references(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """The schema with its own definitions put in, since a parameter has no place for them."""
    if isinstance(schema, list):
        return [_without_references(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _without_references(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {key: _without_references(value, definitions) for key, value in schema.items()}


def _conditions(operation: Operation) -> list[Json]:
    found = []
    if operation.resource is not None and operation.method != "GET":
        text = "ETag of the state that the request changes, or * for any."
        found.append(_header("If-Match", text, operation.needs_match))
    if operation.repeatable:
        found.append(_header(HEADER, "A word of your own: sent again with it, the request is carried out once.", False))
    if operation.method == "GET" and operation.has_etag:
        found.append(_header("If-None-Match", "ETags that are known: 304 when it is one of them.", False))
    return found


def _header(name: str, description: str, required: bool) -> Json:
    schema = {"type": "string"}
    return {"name": name, "in": "header", "required": required, "description": description, "schema": schema}


_HEADERS: Json = {
    "ETag": {"description": "Names this state (RFC 9110).", "required": True, "schema": {"type": "string"}},
    "Location": {"description": "Where the new thing is.", "required": True, "schema": {"type": "string"}},
    "Link": {"description": 'rel="next": the next page (RFC 8288).', "schema": {"type": "string"}},
}


def _responses(operation: Operation, schemas: _Schemas) -> Json:
    responses: Json = {str(operation.status): _success(operation, schemas)}
    if operation.method == "GET" and operation.has_etag:
        responses["304"] = {"description": "It is as it was."}
    by_status: dict[int, list[Problem]] = {}
    for problem in Problem:
        if problem in problems_of(operation):
            by_status.setdefault(STATUS[problem], []).append(problem)
    for status, problems in by_status.items():
        responses[str(status)] = {"$ref": f"#/components/responses/{problems[0]}"}
    return dict(sorted(responses.items()))


def _success(operation: Operation, schemas: _Schemas) -> Json:
    if operation.answer is None:
        return {"description": "Done."}
    names = ["ETag"] if operation.has_etag else []
    names += ["Location"] if operation.location else []
    names += ["Link"] if issubclass(operation.answer, Page) else []
    response: Json = {"description": "It was made." if operation.status == 201 else "What was asked for."}
    if names:
        response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    response["content"] = {"application/json": {"schema": schemas.answer(operation.answer)}}
    return response


def _problem_response(problem: Problem, schemas: _Schemas) -> Json:
    same = [other for other in Problem if STATUS[other] == STATUS[problem]]
    text = "; or: ".join(TITLES[other] for other in same)
    return {"description": text + ".", "content": {CONTENT_TYPE: {"schema": schemas.answer(ProblemDetails)}}}
