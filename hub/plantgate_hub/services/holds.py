"""Ending all access to a plant at once, and giving it free again: one call each."""

from plantgate_shared.errors import NotFound

from ..domain.model import Hold, HoldScope, PlantId
from ..domain.policy import Action
from ..store.protocol import PlantEvent, PlantEventKind
from .context import Actor, Context, account_of, clean_reason


class Holds:
    """A hold stops people within a second, running connections included, and lasts until it is lifted."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def end_access(
        self, actor: Actor, plant: PlantId, scope: HoldScope = HoldScope.EVERYONE, reason: str = ""
    ) -> Hold:
        """End access to the plant now. By Operators of the plant's own organization and upwards: whoever sees something
        wrong must be able to stop it. Twice is the same as once; the first one's reason stays."""
        async with self._context.change(actor) as change:
            snapshot = change.snapshot
            self._context.plant(snapshot, actor, Action.END_ACCESS, plant)
            present = snapshot.holds.get(plant, str(scope))
            if present is not None:
                return present
            person, name = account_of(snapshot, actor)
            hold = Hold(plant, scope, self._context.now(), name, clean_reason(reason))
            change.put(hold)
            detail = f"{scope}: {hold.reason}" if hold.reason else str(scope)
            await change.record(PlantEvent(plant, hold.at, PlantEventKind.HOLD_PUT, person, name, detail))
            return hold

    async def restore(self, actor: Actor, plant: PlantId, scope: HoldScope | None = None) -> tuple[Hold, ...]:
        """Lift the plant's holds (only that of `scope`, if given); those that were lifted. By the Moderators and
        Administrators of the plant's organization. Raises NotFound when there is none."""
        async with self._context.change(actor) as change:
            snapshot = change.snapshot
            self._context.plant(snapshot, actor, Action.RESTORE_ACCESS, plant)
            found = tuple(hold for hold in snapshot.holds_on(plant) if scope in (None, hold.scope))
            if not found:
                raise NotFound("the plant has no such hold")
            person, name = account_of(snapshot, actor)
            now = self._context.now()
            for hold in found:
                change.remove(hold)
                event = PlantEvent(plant, now, PlantEventKind.HOLD_LIFTED, person, name, str(hold.scope))
                await change.record(event)
            return found
