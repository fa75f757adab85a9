"""Sharing one plant with another organization: offered, accepted, capped, and by invitation of named people only."""

from dataclasses import replace

from plantgate_shared.errors import Conflict, Denied, InvalidInput, NotFound

from ..domain.model import Cooperation, CooperationId, Grant, Job, OrganizationId, PersonId, Plant, PlantId
from ..domain.policy import Action, is_live
from ..domain.snapshot import Snapshot
from ..store.ids import new_id
from ..store.protocol import ChangeTransaction
from .context import Actor, Context, check_period, clean_reason
from .grants import replace_grants


class Cooperations:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def offer(
        self,
        actor: Actor,
        plant: PlantId,
        partner: OrganizationId,
        cap: Job,
        *,
        ends: float | None = None,
        reason: str = "",
    ) -> Cooperation:
        """Offer the plant to another organization, at most at the job `cap`. Nobody gets anything by it yet."""
        async with self._context.change(actor) as change:
            snapshot = change.snapshot
            place = self._context.plant(snapshot, actor, Action.MANAGE_COOPERATIONS, plant)
            if snapshot.organizations.get(partner) is None:
                raise NotFound("there is no such organization")
            if partner == place.organization:
                raise InvalidInput("the plant is the partner's own", hint="grant jobs on it directly")
            now = self._context.now()
            if any(c.partner == partner and is_live(None, c.ends, now) for c in snapshot.cooperations_on(plant)):
                raise Conflict("the plant is shared with this organization already", hint="end that cooperation first")
            check_period(None, ends, now)
            cooperation = Cooperation(
                CooperationId(new_id()), plant, partner, cap, ends=ends, reason=clean_reason(reason)
            )
            change.put(cooperation)
            return cooperation

    async def accept(self, actor: Actor, cooperation: CooperationId) -> Cooperation:
        """By the partner's Moderators and Administrators."""
        async with self._context.change(actor) as change:
            found, _ = self._visible(change.snapshot, actor, cooperation)
            self._context.organization(change.snapshot, actor, Action.MANAGE_COOPERATIONS, found.partner)
            self._refuse_ended(found)
            accepted = replace(found, accepted=True)
            change.put(accepted)
            return accepted

    async def set_cap(self, actor: Actor, cooperation: CooperationId, cap: Job) -> Cooperation:
        """By the owner. Lowering it lowers everyone at once, for good: raising it again gives nobody more."""
        async with self._context.change(actor) as change:
            found, plant = self._visible(change.snapshot, actor, cooperation)
            self._context.plant(change.snapshot, actor, Action.MANAGE_COOPERATIONS, plant.id)
            self._refuse_ended(found)
            for grant in change.snapshot.grants_in(cooperation):
                if grant.job > cap:
                    change.remove(grant)
                    replace_grants(change, replace(grant, job=cap))
            changed = replace(found, cap=cap)
            change.put(changed)
            return changed

    async def end(self, actor: Actor, cooperation: CooperationId) -> Cooperation:
        """By either side; all invitations end with it. An offer is declined or withdrawn the same way."""
        async with self._context.change(actor) as change:
            found, _ = self._visible(change.snapshot, actor, cooperation)
            self._refuse_ended(found)
            for grant in change.snapshot.grants_in(cooperation):
                change.remove(grant)
            ended = replace(found, ends=self._context.now())
            change.put(ended)
            return ended

    async def invite(
        self,
        actor: Actor,
        cooperation: CooperationId,
        person: PersonId,
        job: Job,
        *,
        starts: float | None = None,
        ends: float | None = None,
        reason: str = "",
    ) -> Grant:
        """By either side: a member of the partner gets a job on the shared plant, at most the cap."""
        async with self._context.change(actor) as change:
            snapshot = change.snapshot
            found, plant = self._visible(snapshot, actor, cooperation)
            self._refuse_ended(found)
            if not found.accepted:
                raise Conflict("the partner has not accepted the cooperation yet")
            if snapshot.memberships.get(person, found.partner) is None:
                raise InvalidInput("the person is no member of the partner's organization")
            if job > found.cap:
                raise InvalidInput(f"the cooperation gives at most {found.cap.name.lower().replace('_', ' ')}")
            check_period(starts, ends, self._context.now())
            grant = Grant(person, plant.id, job, cooperation, starts, ends, clean_reason(reason))
            replace_grants(change, grant)
            return grant

    async def withdraw(self, actor: Actor, cooperation: CooperationId, person: PersonId) -> None:
        """By either side: end the person's invitation."""
        async with self._context.change(actor) as change:
            self._visible(change.snapshot, actor, cooperation)
            found = [grant for grant in change.snapshot.grants_in(cooperation) if grant.person == person]
            if not found:
                raise NotFound("the person is not invited")
            _remove(change, found)

    def _visible(self, snapshot: Snapshot, actor: Actor, cooperation: CooperationId) -> tuple[Cooperation, Plant]:
        """The cooperation, if the actor manages cooperations for either side of it. Raises NotFound."""
        found = snapshot.cooperations.get(cooperation)
        plant = snapshot.plants.get(found.plant) if found else None
        if found is None or plant is None:
            raise NotFound("there is no such cooperation")
        sides = (plant.organization, found.partner)
        for side in sides:
            try:
                self._context.organization(snapshot, actor, Action.MANAGE_COOPERATIONS, side)
            except (NotFound, Denied):
                continue
            return found, plant
        raise NotFound("there is no such cooperation")

    def _refuse_ended(self, cooperation: Cooperation) -> None:
        if not is_live(None, cooperation.ends, self._context.now()):
            raise Conflict("the cooperation has ended", hint="offer a new one")


def _remove(change: ChangeTransaction, grants: list[Grant]) -> None:
    for grant in grants:
        change.remove(grant)
