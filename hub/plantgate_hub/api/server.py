"""The API as an aiohttp application: from a request to the operation, and from what it answers to a response."""

import asyncio
import functools
import json
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from plantgate_shared.errors import PlantgateError
from plantgate_shared.logging import Event, get_logger

from . import operations
from .authentication import JSON, REALM, Authenticate, Caller, check_scope
from .call import ApiParts, Call
from .etag import condition_of, is_known, serialized, tag_of
from .openapi import document
from .operation import API, Operation, run
from .problems import (
    CONTENT_TYPE,
    STATUS,
    TITLES,
    ApiProblem,
    FieldError,
    Problem,
    invalid_body,
    invalid_query,
    problem_of,
)
from .repetition import Repetitions, key_of
from .schema import Answer, Page

PREFIX = "/api/v1"
DOCUMENT_PATH = "/openapi.json"
MAX_BODY = 64 * 1024
BODY_SECONDS = 10.0
"""For a body of at most 64 KiB."""
FOLLOW_SECONDS = 2.0
"""How long an answer waits for this node's snapshot, so that the caller's next request sees the change."""

__all__ = ["PREFIX", "build_api", "operations"]


def build_api(parts: ApiParts, authenticate: Authenticate) -> web.Application:
    """The application, to be mounted at PREFIX."""
    server = _Server(parts, authenticate)
    app = web.Application(middlewares=[_problems])
    for operation in API:
        handler = functools.partial(server.serve, operation)
        if operation.method == "GET":
            app.router.add_get(operation.path, handler)
        else:
            app.router.add_route(operation.method, operation.path, handler)
    app.router.add_get(DOCUMENT_PATH, _document_handler())
    return app


class _Server:
    def __init__(self, parts: ApiParts, authenticate: Authenticate) -> None:
        self._parts = parts
        self._authenticate = authenticate
        context = parts.services.context
        self._repetitions = Repetitions(context.store.answers, context.now)

    async def serve(self, operation: Operation, request: web.Request) -> web.Response:
        caller = await self._caller(operation, request)
        values: dict[str, Any] = dict(request.match_info)
        if operation.query is not None:
            values["query"] = _read_query(operation, request)
        if operation.body is not None:
            values["body"] = await _read_body(operation, request)
        condition = None
        if operation.resource is not None and operation.method != "GET":
            condition = condition_of(request, operation.needs_match)
        call = Call(self._parts, caller, operation, values, condition)
        key = key_of(request, operation)
        if key:
            answer = await self._repetitions.once(
                caller.person, key, operation, values, lambda: run(operation, call, values)
            )
        else:
            answer = await run(operation, call, values)
        if call.changed_to is not None:
            await self._follow(call.changed_to)
        elif key:  # a kept answer, perhaps of a request that ended just now or on another node
            await self._follow(await self._parts.services.context.store.revision())
        return _response(operation, request, answer)

    async def _caller(self, operation: Operation, request: web.Request) -> Caller:
        caller = await self._authenticate(request)
        if caller is None:
            raise ApiProblem(
                Problem.UNAUTHENTICATED,
                hint="send an API token, or sign in to the portal",
                headers={"WWW-Authenticate": f'Bearer realm="{REALM}"'},
            )
        check_scope(caller, operation.scope)
        return caller

    async def _follow(self, revision: int) -> None:
        """The change is stored: an answer that comes too early is no reason to call it failed."""
        try:
            await self._parts.source.reaches(revision, FOLLOW_SECONDS)
        except TimeoutError:
            return


def _read_query(operation: Operation, request: web.Request) -> Any:
    assert operation.query is not None  # noqa: S101  asked before
    twice = [name for name in set(request.query) if len(request.query.getall(name)) > 1]
    if twice:
        error = FieldError(parameter=min(twice)[:100], detail="given more than once")
        raise ApiProblem(Problem.INVALID, "a query parameter is given more than once", errors=[error])
    try:
        return operation.query.model_validate(dict(request.query))
    except ValidationError as error:
        raise invalid_query(error) from None


async def _read_body(operation: Operation, request: web.Request) -> Any:
    assert operation.body is not None  # noqa: S101  asked before
    if request.content_type != JSON or request.headers.get("Content-Encoding", "identity") != "identity":
        raise ApiProblem(Problem.CONTENT_TYPE, hint=f"send {JSON}, without a content coding")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            raw = await request.read()
    except TimeoutError:
        raise ApiProblem(Problem.TIMEOUT, headers={"Connection": "close"}) from None
    try:
        return operation.body.model_validate_json(raw)
    except ValidationError as error:
        raise invalid_body(error) from None


def _response(operation: Operation, request: web.Request, answer: Answer | None) -> web.Response:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if answer is None:
        return web.Response(status=204, headers=headers)
    body = serialized(answer)
    if operation.has_etag:
        tag = tag_of(body)
        headers |= {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache"}
        if operation.method == "GET" and is_known(request, tag):
            return web.Response(status=304, headers=headers)
    if operation.location:
        named = {**request.match_info, "id": getattr(answer, "id", "")}
        headers["Location"] = PREFIX + operation.location.format_map(named)
    if isinstance(answer, Page) and answer.next is not None:
        following = request.rel_url.update_query(cursor=answer.next)
        headers["Link"] = f'<{following}>; rel="next"'
    return web.Response(status=operation.status, body=body, content_type=JSON, headers=headers)


@web.middleware
async def _problems(request: web.Request, handler: Any) -> web.StreamResponse:
    """Whatever goes wrong is answered as a problem; a mistake of ours is logged without the request's contents."""
    try:
        return await handler(request)  # type: ignore[no-any-return]
    except web.HTTPException as error:
        return _problem(_http_problem(error))
    except PlantgateError as error:
        problem = problem_of(error)
        if problem.problem is not Problem.INTERNAL:
            return _problem(problem)
        get_logger().error(Event.REQUEST_FAILED, method=request.method, path=request.path, cause=str(error))
        return _problem(problem)
    except Exception:
        get_logger().exception(Event.REQUEST_FAILED, method=request.method, path=request.path)
        return _problem(ApiProblem(Problem.INTERNAL, "It has been logged."))


def _http_problem(error: web.HTTPException) -> ApiProblem:
    """What aiohttp itself refuses."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        return ApiProblem(Problem.METHOD, headers={"Allow": ", ".join(sorted(error.allowed_methods))})
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return ApiProblem(Problem.TOO_LARGE, f"a body has at most {MAX_BODY} bytes")
    if error.status == STATUS[Problem.NOT_FOUND]:
        return ApiProblem(Problem.NOT_FOUND, "there is no such address", hint=f"{PREFIX}{DOCUMENT_PATH} lists them")
    return ApiProblem(Problem.MALFORMED, TITLES[Problem.MALFORMED])


def _problem(problem: ApiProblem) -> web.Response:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **problem.headers}
    body = problem.details().model_dump_json(exclude_none=True).encode()
    return web.Response(status=STATUS[problem.problem], body=body, content_type=CONTENT_TYPE, headers=headers)


def _document_handler() -> Any:
    body = json.dumps(document(), ensure_ascii=False).encode()
    tag = tag_of(body)
    headers = {"ETag": f'"{tag}"', "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}

    async def show(request: web.Request) -> web.Response:
        if is_known(request, tag):
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, content_type=JSON, headers=headers)

    return show
