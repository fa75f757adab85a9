"""The types that requests and answers are made of: strict, closed, and bounded in every direction."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from ..domain.model import Job
from ..services.context import MAX_EMAIL, MAX_NAME, MAX_REASON
from .cursor import decode, encode

MAX_IDENTIFIER = 64
MAX_PAGE = 200
DEFAULT_PAGE = 50
MAX_CURSOR = 1024
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

Row = TypeVar("Row")


def _within_reason(moment: datetime) -> datetime:
    if not EARLIEST <= moment < LATEST:
        raise PydanticCustomError("moment", f"a moment lies between {EARLIEST.year} and {LATEST.year}")
    return moment


Identifier = Annotated[str, Field(min_length=1, max_length=MAX_IDENTIFIER)]
"""Ids are opaque."""
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
Reason = Annotated[str, Field(max_length=MAX_REASON, description="Why, for whoever reads it later.")]
Email = Annotated[str, Field(min_length=3, max_length=MAX_EMAIL)]
Moment = Annotated[AwareDatetime, AfterValidator(_within_reason), Field(description="RFC 3339, with a time zone.")]


class JobName(StrEnum):
    """A job on a plant, the lowest first (`domain.model.Job`)."""

    VIEWER = "viewer"
    ASSET_MANAGER_COMMERCIAL = "asset-manager-commercial"
    ASSET_MANAGER_TECHNICAL = "asset-manager-technical"
    TECHNICAL_MANAGER = "technical-manager"
    OPERATOR = "operator"

    @classmethod
    def of(cls, job: Job) -> "JobName":
        return cls[job.name]

    @property
    def job(self) -> Job:
        return Job[self.name]


class Body(BaseModel):
    """What a request brings. An unknown member is an error: a misspelt option must not be ignored."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Query(BaseModel):
    """A request's query. Its values are texts, so numbers are read from them."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Resource(Answer):
    """A thing that can be changed. Its answers carry an ETag, so they show what is stored and nothing that passes."""


class ShownOnce(Answer):
    """Holds a secret: it is given once and never kept."""


Item = TypeVar("Item", bound=Answer)


class PageQuery(Query):
    limit: int = Field(DEFAULT_PAGE, ge=1, le=MAX_PAGE, description="How many items at most.")
    cursor: str = Field("", max_length=MAX_CURSOR, description="`next` of the page before; opaque.")


class Page(Answer, Generic[Item]):
    """A part of a list. Items come in an order that does not change, so that none is missed or shown twice."""

    items: tuple[Item, ...]
    next: str | None = Field(description="Cursor of the next page; null on the last one.")


def page_of(
    query: PageQuery, rows: Iterable[Row], key: Callable[[Row], Sequence[str]], render: Callable[[Row], Item]
) -> Page[Item]:
    """The page of `rows` that the query asks for, in the order of their keys, which must be unique."""
    after = decode(query.cursor)
    remaining = {tuple(key(row)): row for row in rows}
    ordered = sorted(k for k in remaining if k > after)
    shown = ordered[: query.limit]
    more = encode(shown[-1]) if len(ordered) > len(shown) else None
    return Page(items=tuple(render(remaining[k]) for k in shown), next=more)


def moment(seconds: float | None) -> datetime | None:
    """Seconds since the epoch as answers show them."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
