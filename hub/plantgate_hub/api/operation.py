"""One operation of the API: a typed function and what has to be known around it.

    @operation("PATCH", "/plants/{plant}", Tag.PLANTS, TokenScope.PLANTS, resource=show_plant)
    async def rename_plant(call: Call, plant: PlantId, body: Rename) -> PlantAnswer:
        '''Rename a plant.'''

Routing, checking, serialisation and the OpenAPI document all come from this. Parameters that the path names are texts;
`query` and `body` are models; the answer is a model, or None. Reading functions are plain (they look at a snapshot),
changing ones are coroutines and make exactly one change through an application service.
"""

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar, cast, get_type_hints

from ..domain.scopes import TokenScope
from .problems import Problem
from .schema import Answer, Body, Query, Resource, ShownOnce

Handler = TypeVar("Handler", bound=Callable[..., Any])

CONDITIONAL = frozenset({"PUT", "PATCH", "DELETE"})
_PARAMETER = re.compile(r"{(\w+)}")


class Tag(StrEnum):
    """Chapters of the documentation, in its order."""

    ACCOUNT = "Account"
    ORGANIZATIONS = "Organizations and people"
    PLANTS = "Plants"
    DEVICES = "Devices"
    ACCESS = "Jobs and cooperations"
    VPN_SERVICES = "VPN services"
    GATEWAYS = "Gateways"
    VPN = "My VPN"


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    """Also its operationId."""
    method: str
    path: str
    """Below /api/v1, such as `/plants/{plant}`."""
    tag: Tag
    scope: TokenScope | None
    """What a token must be for; None: signed-in people only."""
    handler: Callable[..., Any]
    status: int
    location: str
    """Where the new thing is, filled in from the answer's members; empty when nothing is made."""
    resource: "Operation | None"
    """Reads what this changes: If-Match is held against its answer, in the same transaction as the change."""
    problems: frozenset[Problem]
    """What it may answer beside what follows from its shape."""
    parameters: tuple[str, ...]
    query: type[Query] | None
    body: type[Body] | None
    answer: type[Answer] | None

    @property
    def summary(self) -> str:
        return (self.handler.__doc__ or "").strip().partition("\n")[0].rstrip(".")

    @property
    def description(self) -> str:
        return inspect.cleandoc(self.handler.__doc__ or "").partition("\n")[2].strip()

    @property
    def needs_match(self) -> bool:
        """Whether the request has to name the state that it changes."""
        return self.resource is not None and self.method in CONDITIONAL

    @property
    def has_etag(self) -> bool:
        return self.answer is not None and issubclass(self.answer, Resource)

    @property
    def repeatable(self) -> bool:
        """Whether it makes something and takes an Idempotency-Key."""
        return self.status == 201 and self.answer is not None and not issubclass(self.answer, ShownOnce)

    def call(self, call: object, values: Mapping[str, Any]) -> Any:
        """What the handler makes of the request; `values` may hold more than its own parameters."""
        own = {name: values[name] for name in self.parameters}
        own |= {name: values[name] for name in ("query", "body") if getattr(self, name) is not None}
        return self.handler(call, **own)


class Operations:
    """The operations of the API, in the order in which they were declared."""

    def __init__(self) -> None:
        self._all: dict[Callable[..., Any], Operation] = {}

    def __iter__(self) -> Any:
        return iter(self._all.values())

    def of(self, handler: Callable[..., Any]) -> Operation:
        return self._all[handler]

    def operation(
        self,
        method: str,
        path: str,
        tag: Tag,
        scope: TokenScope | None,
        *,
        status: int = 200,
        location: str = "",
        resource: Callable[..., Answer] | None = None,
        problems: frozenset[Problem] = frozenset(),
    ) -> Callable[[Handler], Handler]:
        """Declare the decorated function as an operation; see `Operation` for what each means."""

        def declare(handler: Handler) -> Handler:
            hints = get_type_hints(handler)
            answer = hints["return"]
            self._all[handler] = Operation(
                name=getattr(handler, "__name__", ""),
                method=method,
                path=path,
                tag=tag,
                scope=scope,
                handler=handler,
                status=201 if location else 204 if answer is type(None) else status,
                location=location,
                resource=self.of(resource) if resource else None,
                problems=problems,
                parameters=tuple(_PARAMETER.findall(path)),
                query=hints.get("query"),
                body=hints.get("body"),
                answer=None if answer is type(None) else answer,
            )
            return handler

        return declare


API = Operations()
"""All operations; the modules of `operations` fill it."""
operation = API.operation


async def run(operation: Operation, call: object, values: Mapping[str, Any]) -> Answer | None:
    """What the operation answers. Raises PlantgateError."""
    result = operation.call(call, values)
    if inspect.isawaitable(result):
        return await cast(Awaitable[Answer | None], result)
    return cast(Answer | None, result)
