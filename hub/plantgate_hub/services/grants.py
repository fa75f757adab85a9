"""Jobs that people hold on single plants of their own organization. Revoking is one small change: it goes first."""

from plantgate_shared.errors import InvalidInput, NotFound

from ..domain.model import Grant, Job, PersonId, PlantId
from ..domain.policy import Action
from ..store.protocol import ChangeTransaction
from .context import Actor, Context, check_period, clean_reason


class Grants:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def give(
        self,
        actor: Actor,
        person: PersonId,
        plant: PlantId,
        job: Job,
        *,
        starts: float | None = None,
        ends: float | None = None,
        reason: str = "",
    ) -> Grant:
        """A job on the plant, for a member of its organization.

        A lasting grant replaces all that the person was granted on the plant before. A time-boxed one comes beside a
        lasting one and replaces another time-boxed one: Operator for an afternoon leaves the Viewer from before.
        """
        async with self._context.change(actor) as change:
            snapshot = change.snapshot
            place = self._context.plant(snapshot, actor, Action.MANAGE_MEMBERS, plant)
            if snapshot.memberships.get(person, place.organization) is None:  # there may be no such person at all
                raise InvalidInput(
                    "the person is no member of the plant's organization",
                    hint="add them as member, or invite them through a cooperation",
                )
            check_period(starts, ends, self._context.now())
            grant = Grant(person, plant, job, None, starts, ends, clean_reason(reason))
            replace_grants(change, grant)
            return grant

    async def revoke(self, actor: Actor, person: PersonId, plant: PlantId, job: Job | None = None) -> tuple[Grant, ...]:
        """Take back what the person was granted on the plant (only `job`, if given); what was taken."""
        async with self._context.change(actor) as change:
            snapshot = change.snapshot
            self._context.plant(snapshot, actor, Action.MANAGE_MEMBERS, plant)
            found = tuple(
                grant
                for grant in snapshot.grants_between(person, plant)
                if grant.cooperation is None and job in (None, grant.job)
            )
            if not found:
                raise NotFound("the person was not granted that on the plant")
            for grant in found:
                change.remove(grant)
            return found


def replace_grants(change: ChangeTransaction, grant: Grant) -> None:
    """Put the grant in place of those that it takes the place of (see `Grants.give`)."""
    before = [
        other
        for other in change.snapshot.grants_between(grant.person, grant.plant)
        if other.cooperation == grant.cooperation
    ]
    for other in before:
        if _lasts(grant) or not _lasts(other):
            change.remove(other)
    covered = not _lasts(grant) and any(_lasts(other) and other.job >= grant.job for other in before)
    if not covered:
        change.put(grant)


def _lasts(grant: Grant) -> bool:
    return grant.starts is None and grant.ends is None
