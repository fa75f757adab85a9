"""Everything that can be wrong with a request, as problem details (RFC 9457)."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from plantgate_shared.errors import PlantgateError

from ..identity.sign_in import TooManyTries

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "/problems/"
MAX_ERRORS = 20
"""Errors told of one request: a list of 10,000 wrong items need not be answered in full."""


class Problem(StrEnum):
    """The stable last part of a problem's `type`."""

    MALFORMED = "malformed"
    UNAUTHENTICATED = "unauthenticated"
    SECOND_FACTOR = "second-factor"
    FORBIDDEN = "forbidden"
    SCOPE = "scope"
    FOREIGN_REQUEST = "foreign-request"
    PROOF = "proof"
    NOT_FOUND = "not-found"
    METHOD = "method"
    TIMEOUT = "timeout"
    CONFLICT = "conflict"
    STALE = "stale"
    TOO_LARGE = "too-large"
    CONTENT_TYPE = "content-type"
    INVALID = "invalid"
    KEY_REUSED = "key-reused"
    PRECONDITION = "precondition"
    TOO_MANY = "too-many"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"


STATUS: dict[Problem, int] = {
    Problem.MALFORMED: 400,
    Problem.UNAUTHENTICATED: 401,
    Problem.SECOND_FACTOR: 401,
    Problem.FORBIDDEN: 403,
    Problem.SCOPE: 403,
    Problem.FOREIGN_REQUEST: 403,
    Problem.PROOF: 403,
    Problem.NOT_FOUND: 404,
    Problem.METHOD: 405,
    Problem.TIMEOUT: 408,
    Problem.CONFLICT: 409,
    Problem.STALE: 412,
    Problem.TOO_LARGE: 413,
    Problem.CONTENT_TYPE: 415,
    Problem.INVALID: 422,
    Problem.KEY_REUSED: 422,
    Problem.PRECONDITION: 428,
    Problem.TOO_MANY: 429,
    Problem.INTERNAL: 500,
    Problem.UNAVAILABLE: 503,
}

TITLES: dict[Problem, str] = {
    Problem.MALFORMED: "The request cannot be read",
    Problem.UNAUTHENTICATED: "Nobody is signed in",
    Problem.SECOND_FACTOR: "The second factor is still to be passed",
    Problem.FORBIDDEN: "The person may not do this",
    Problem.SCOPE: "The token is not for this",
    Problem.FOREIGN_REQUEST: "The request does not come from the portal's own page",
    Problem.PROOF: "The person has to prove anew who they are",
    Problem.NOT_FOUND: "There is no such thing, or it is not yours to see",
    Problem.METHOD: "This address does not take this method",
    Problem.TIMEOUT: "The request did not arrive in time",
    Problem.CONFLICT: "It does not go together with what is there",
    Problem.STALE: "It was changed since you looked at it",
    Problem.TOO_LARGE: "The request is too large",
    Problem.CONTENT_TYPE: "Requests are JSON",
    Problem.INVALID: "The request's content cannot be accepted",
    Problem.KEY_REUSED: "The Idempotency-Key was used for another request",
    Problem.PRECONDITION: "The request has to say which state it changes",
    Problem.TOO_MANY: "Too many requests",
    Problem.INTERNAL: "Something went wrong in the hub",
    Problem.UNAVAILABLE: "The hub cannot do this at the moment",
}

_BY_STATUS = {STATUS[problem]: problem for problem in reversed(Problem)}
"""The first problem of each status: what an application error of that status is answered as."""


class FieldError(BaseModel):
    """One thing that is wrong with a request's body or query."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pointer: str | None = Field(default=None, description="JSON pointer into the body (RFC 6901), as a URI fragment.")
    parameter: str | None = Field(default=None, description="Name of the query parameter.")
    detail: str


class ProblemDetails(BaseModel):
    """Problem details (RFC 9457), with what to do about it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str = Field(description="Stable, relative; the documentation lists them.")
    title: str
    status: int
    detail: str
    hint: str | None = Field(default=None, description="What to do about it.")
    errors: tuple[FieldError, ...] | None = Field(default=None, description="What exactly is wrong with body or query.")


class ApiProblem(PlantgateError):
    """A request that ends with a problem; `headers` go with the answer."""

    def __init__(
        self,
        problem: Problem,
        detail: str = "",
        *,
        hint: str = "",
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or TITLES[problem], hint=hint)
        self.problem = problem
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    def details(self) -> ProblemDetails:
        return ProblemDetails(
            type=TYPE_PREFIX + self.problem,
            title=TITLES[self.problem],
            status=STATUS[self.problem],
            detail=self.message,
            hint=self.hint or None,
            errors=self.errors or None,
        )


def problem_of(error: PlantgateError) -> ApiProblem:
    """How an error of the application is answered. What is not the caller's to know stays out."""
    if isinstance(error, ApiProblem):
        return error
    problem = _BY_STATUS.get(error.http_status, Problem.INTERNAL)
    if problem is Problem.INTERNAL:
        return ApiProblem(problem, "It has been logged.")
    headers = {}
    if isinstance(error, TooManyTries):
        headers["Retry-After"] = str(error.seconds)
    elif problem is Problem.UNAVAILABLE:
        headers["Retry-After"] = "1"
    return ApiProblem(problem, error.message, hint=error.hint, headers=headers)


def invalid_body(error: ValidationError) -> ApiProblem:
    """What a body's model found wrong."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if any(one["type"] == "json_invalid" for one in found):
        return ApiProblem(Problem.MALFORMED, "the body is no JSON document")
    errors = [FieldError(pointer=_pointer(one["loc"]), detail=one["msg"]) for one in found[:MAX_ERRORS]]
    return ApiProblem(Problem.INVALID, "the body does not have the form it must have", errors=errors)


def invalid_query(error: ValidationError) -> ApiProblem:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    errors = [FieldError(parameter="".join(map(str, one["loc"][:1])), detail=one["msg"]) for one in found[:MAX_ERRORS]]
    return ApiProblem(Problem.INVALID, "the query does not have the form it must have", errors=errors)


def _pointer(location: tuple[int | str, ...]) -> str:
    """RFC 6901: '~' and '/' are escaped. A member that somebody made up may be of any length."""
    return "#" + "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')[:100]}" for part in location)
