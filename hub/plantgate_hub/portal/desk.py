"""What every page group works with: the snapshot to show, the services to act by, the policy to ask, one layout."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, TypeVar

from aiohttp import web

from plantgate_shared.errors import Denied, InvalidInput, NotFound, PlantgateError

from ..diagnosis import Diagnosis
from ..domain import policy
from ..domain.clients import ClientSettings
from ..domain.model import AgentId, Organization, OrganizationId, Plant, PlantId
from ..domain.policy import Action
from ..domain.snapshot import Snapshot
from ..ports import Clock
from ..services import Actor, Services, acting
from ..store import Update
from ..tunnel.registry import AgentState, Listener
from .guards import Guards, Handler, Response, Visitor, see_other
from .pages import Pages

E = TypeVar("E", bound=Enum)

SETTLE_SECONDS = 2.0
"""How long an answer waits until this node's snapshot has what was just committed."""
PER_PAGE = 25
"""Rows of a list that are shown at once."""
MANAGING = (Action.MANAGE_MEMBERS, Action.MANAGE_PLANTS, Action.MANAGE_COOPERATIONS, Action.MANAGE_SERVICES)
"""Whoever may do one of these has an organization's pages."""


class Snapshots(Protocol):
    """What keeps the snapshot current (`store.SnapshotFeed`)."""

    @property
    def snapshot(self) -> Snapshot: ...

    def on_update(self, listener: Callable[[Update], None]) -> Callable[[], None]: ...

    async def reaches(self, revision: int, timeout: float) -> Snapshot: ...


class LiveAgents(Protocol):
    """Which agents are attached to this node (`tunnel.AgentRegistry`)."""

    @property
    def online(self) -> frozenset[AgentId]: ...

    def get(self, agent: AgentId) -> AgentState | None: ...

    def connected(self, plant: PlantId) -> bool: ...

    def watch(self, listener: Listener) -> Callable[[], None]: ...


@dataclass(frozen=True, slots=True)
class Hub:
    """The rest of the hub, as the portal's pages use it."""

    snapshots: Snapshots
    agents: LiveAgents
    services: Services
    client_settings: ClientSettings
    diagnosis: Diagnosis


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a longer list, and what was searched for."""

    rows: Sequence[Any]
    total: int
    number: int
    pages: int
    query: str


class Desk:
    """Shared by the page groups; knows nothing of any of them."""

    def __init__(
        self,
        pages: Pages,
        guards: Guards,
        hub: Hub,
        now: Clock,
        device_origin: Callable[[str], str],
        version: Callable[[], int],
    ) -> None:
        self._pages = pages
        self._guards = guards
        self.hub = hub
        self.services = hub.services
        self.now = now
        self.device_origin = device_origin
        self.portal = pages.portal
        self._version = version

    # Routes

    def get(self, path: str, handler: Handler) -> web.RouteDef:
        return web.get(path, self._guards.signed_in(self._answers(handler)))

    def post(self, path: str, handler: Handler) -> web.RouteDef:
        return web.post(path, self._guards.form(self._guards.signed_in(self._answers(handler))))

    def sensitive(self, path: str, handler: Handler, back: str) -> web.RouteDef:
        """A form that wants a fresh proof; who has to give it comes back to the page `back`."""
        return web.post(path, self._guards.form(self._guards.proved(self._answers(handler), back)))

    def _answers(self, handler: Handler) -> Handler:
        async def answering(request: web.Request, visitor: Visitor) -> Response:
            try:
                return await handler(request, visitor)
            except (NotFound, Denied) as error:
                # What they may not do at all looks like what is not there: no page of theirs leads to it.
                return self.page(request, visitor, "missing.html", error.http_status)

        return answering

    # Reading

    @property
    def snapshot(self) -> Snapshot:
        return self.hub.snapshots.snapshot

    def may(self, visitor: Visitor, action: Action, plant: PlantId) -> bool:
        decision = policy.decide(self.snapshot, visitor.person.id, action, plant, self.now())
        return isinstance(decision, policy.Allowed)

    def may_in(self, visitor: Visitor, action: Action, organization: OrganizationId) -> bool:
        decision = policy.decide_in_organization(self.snapshot, visitor.person.id, action, organization)
        return isinstance(decision, policy.Allowed)

    def plant(self, request: web.Request, visitor: Visitor, action: Action = Action.SEE_PLANT) -> Plant:
        """The plant that the path names, if the visitor may do `action` on it. Raises NotFound or Denied."""
        plant = PlantId(request.match_info["plant"])
        return self.services.context.plant(self.snapshot, actor(visitor), action, plant)

    def organization(self, request: web.Request, visitor: Visitor, *actions: Action) -> Organization:
        """The organization that the path names, if the visitor may do one of `actions` in it. Raises NotFound."""
        found = self.snapshot.organizations.get(request.match_info["organization"])
        if found is None or not any(self.may_in(visitor, action, found.id) for action in actions):
            raise NotFound("there is no such organization")
        return found

    def managed(self, visitor: Visitor) -> list[Organization]:
        """Organizations that have pages for the visitor, by name."""
        memberships = self.snapshot.memberships_of(visitor.person.id)
        found = (
            self.snapshot.organizations.get(membership.organization)
            for membership in memberships
            if any(self.may_in(visitor, action, membership.organization) for action in MANAGING)
        )
        return sorted((o for o in found if o is not None), key=lambda o: (o.name.casefold(), o.id))

    # Answering

    def page(self, request: web.Request, visitor: Visitor, template: str, status: int = 200, **fields: Any) -> Response:
        """A page in the signed-in layout. `here` names the entry of the navigation that it belongs to."""
        fields.setdefault("here", "")
        return self._pages.page(
            request,
            template,
            status,
            scripts=True,
            person=visitor.person,
            manages=bool(self.managed(visitor)),
            version=self._version(),
            path=request.rel_url.raw_path_qs if request.method == "GET" else "/",  # what answers a form has no address
            done=request.query.get("done", ""),
            **fields,
        )

    async def attempt(self, act: Awaitable[Any]) -> PlantgateError | None:
        """Do it; what went wrong, for the page to show beside what was typed."""
        try:
            await act
        except PlantgateError as error:
            return error
        await self.settle()
        return None

    async def settle(self) -> None:
        """Wait a moment until the snapshot has what was committed, so that the next page shows it."""
        try:
            revision = await self.services.context.store.revision()
            await self.hub.snapshots.reaches(revision, SETTLE_SECONDS)
        except (TimeoutError, PlantgateError):
            return

    @staticmethod
    def done(path: str, what: str) -> web.Response:
        """Back to a page, which says that `what` was done."""
        return see_other(f"{path}{'&' if '?' in path else '?'}done={what}")


def actor(visitor: Visitor) -> Actor:
    return acting(visitor.person.id)


async def typed(request: web.Request) -> dict[str, str]:
    """A form's fields as they were typed; files are not among ours."""
    form = await request.post()
    return {name: value for name, value in form.items() if isinstance(value, str)}


def paged(rows: Sequence[Any], request: web.Request, per_page: int = PER_PAGE) -> Page:
    """The page of `rows` that the query names; the nearest one when there is no such page."""
    pages = max(1, -(-len(rows) // per_page))
    asked = request.query.get("page", "1")
    number = min(max(int(asked), 1), pages) if asked.isascii() and asked.isdigit() and len(asked) < 10 else 1
    start = (number - 1) * per_page
    return Page(rows[start : start + per_page], len(rows), number, pages, searched(request))


def status_of(error: PlantgateError | None) -> int:
    """The status of a page that shows what went wrong with its form: the page itself was found."""
    if error is None:
        return 200
    return InvalidInput.http_status if isinstance(error, NotFound) else error.http_status


def searched(request: web.Request) -> str:
    return " ".join(request.query.get("q", "").split())[:100]


def matches(query: str, *texts: str) -> bool:
    """Whether every word of the query is somewhere in the texts."""
    whole = "\n".join(texts).casefold()
    return all(word in whole for word in query.casefold().split())


def chosen(kinds: type[E], value: str, what: str) -> E:
    """The member that a form's list of choices sent by its name. Raises InvalidInput."""
    try:
        return kinds[value]
    except KeyError:
        raise InvalidInput(f"choose {what}") from None
