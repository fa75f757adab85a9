"""Questions about permissions: why somebody may or may not do something, and what is on a plant's record."""

from collections.abc import Collection

from plantgate_shared.errors import Denied, InvalidInput, NotFound

from ..domain.explain import Explanation, explain
from ..domain.model import PersonId, PlantId
from ..domain.policy import RULES, Action, Scope
from ..domain.snapshot import Snapshot
from ..store.protocol import PlantEvent
from .context import Actor, Context

EXPLAINABLE: tuple[Action, ...] = tuple(
    action for action, rule in RULES.items() if rule.scope in (Scope.PLANT, Scope.ORGANIZATION)
)
"""Actions that are about a plant, or about its organization."""
MAX_EVENTS = 1000


class Answers:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def explain(
        self, actor: Actor, person: PersonId, plant: PlantId, actions: Collection[Action] = EXPLAINABLE
    ) -> tuple[Explanation, ...]:
        """Why the person may or may not do the actions on the plant. For the person themselves, and for who manages
        members of the plant's organization. Raises NotFound where the asker may not know of one of them."""
        if not set(actions) <= set(EXPLAINABLE):
            raise InvalidInput("only what is done on a plant or in its organization can be explained")
        snapshot = await self._context.newest()
        self._may_ask(snapshot, actor, person, plant)
        now = self._context.now()
        return tuple(explain(snapshot, person, action, plant, now) for action in actions)

    async def plant_record(self, actor: Actor, plant: PlantId, limit: int = 100) -> tuple[PlantEvent, ...]:
        """What happened on the plant: holds, declared purposes, new external connections; newest last."""
        snapshot = await self._context.newest()
        self._context.plant(snapshot, actor, Action.SEE_CONNECTIONS, plant)
        return await self._context.store.plant_events.of_plant(plant, max(1, min(limit, MAX_EVENTS)))

    def _may_ask(self, snapshot: Snapshot, actor: Actor, person: PersonId, plant: PlantId) -> None:
        place = snapshot.plants.get(plant)
        if place is None:
            raise NotFound("there is no such plant")
        if actor.person is not None and actor.person == person:
            self._knows_plant(snapshot, actor, plant)
            return
        try:
            self._context.plant(snapshot, actor, Action.MANAGE_MEMBERS, plant)
        except Denied:
            raise NotFound("there is no such person") from None
        if snapshot.people.get(person) is None or (actor.person is not None and not _is_known(snapshot, person, plant)):
            raise NotFound("there is no such person")

    def _knows_plant(self, snapshot: Snapshot, actor: Actor, plant: PlantId) -> None:
        """Who has or had something on the plant may ask why it does not suffice; to others it does not exist."""
        if not snapshot.grants_between(actor.person or PersonId(""), plant):
            self._context.plant(snapshot, actor, Action.SEE_PLANT, plant)


def _is_known(snapshot: Snapshot, person: PersonId, plant: PlantId) -> bool:
    """Whether the plant's organization knows the person: as member, as invited, or as member of a partner."""
    place = snapshot.plants.get(plant)
    if place is None:
        return False
    partners = {cooperation.partner for cooperation in snapshot.cooperations_on(plant)}
    organizations = {place.organization, *partners}
    return bool(snapshot.grants_between(person, plant)) or any(
        membership.organization in organizations for membership in snapshot.memberships_of(person)
    )
