"""Why people connect: what an organization asks of them, and what they declare. Both go on the plants' record."""

import math
from dataclasses import replace

from plantgate_shared.errors import InvalidInput, NotFound

from ..domain.model import ConnectionPolicy, OrganizationId, PlantId, Purpose
from ..domain.policy import Action
from ..identity.throttle import Key, Limit
from ..store.protocol import PlantEvent, PlantEventKind
from .context import Actor, Context, account_of, clean_reason

SHORTEST_PURPOSE = 60.0
LONGEST_PURPOSE = 7 * 24 * 3600.0
"""Seconds that an organization may allow a declared purpose to last."""
PER_PERSON = Limit(burst=60, interval=60.0)
"""Reasons of one person: each is a line of the plant's record, which must not be buried under them."""


class TooManyReasons(InvalidInput):
    http_status = 429

    def __init__(self, wait: float) -> None:
        super().__init__("too many reasons were declared", hint=f"try again in {math.ceil(wait)} seconds")


class Purposes:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def set_policy(
        self,
        actor: Actor,
        organization: OrganizationId,
        *,
        required: bool | None = None,
        longest: float | None = None,
    ) -> ConnectionPolicy:
        """Whether everybody who connects to one of the organization's plants must say why, and for how many seconds
        that holds at most. Declared purposes that would last longer are cut short."""
        if longest is not None and not SHORTEST_PURPOSE <= longest <= LONGEST_PURPOSE:
            raise InvalidInput("a reason holds for between one minute and seven days")
        async with self._context.change(actor) as change:
            snapshot = change.snapshot
            self._context.organization(snapshot, actor, Action.MANAGE_ORGANIZATION, organization)
            current = snapshot.connection_policy_of(organization)
            policy = replace(
                current,
                purpose_required=current.purpose_required if required is None else required,
                longest_purpose=current.longest_purpose if longest is None else longest,
            )
            change.put(policy)
            for plant in snapshot.plants_of(organization):
                for purpose in snapshot.purposes_on(plant.id):
                    if purpose.ends > purpose.starts + policy.longest_purpose:
                        change.put(replace(purpose, ends=purpose.starts + policy.longest_purpose))
            return policy

    async def declare(self, actor: Actor, plant: PlantId, text: str, seconds: float | None = None) -> Purpose:
        """Say why one connects to the plant, for that long from now on (default: as long as the organization allows).
        It replaces what the person declared before."""
        async with self._context.change(actor) as change:
            snapshot = change.snapshot
            if actor.person is None:
                raise InvalidInput("only a person can declare a reason", hint="act as that person (--as)")
            place = self._context.plant(snapshot, actor, Action.DECLARE_PURPOSE, plant)
            reason = clean_reason(text)
            if not reason:
                raise InvalidInput("the reason is empty")
            longest = snapshot.connection_policy_of(place.organization).longest_purpose
            lasts = longest if seconds is None else seconds
            if not SHORTEST_PURPOSE <= lasts <= longest:
                raise InvalidInput(
                    f"a reason holds for between one minute and {longest / 3600:g} hours here",
                    hint="declare it anew when it has ended",
                )
            now = self._context.now()
            wait = self._context.throttle.take((Key(PER_PERSON, f"reasons:{actor.person}"),), now)
            if wait > 0:
                raise TooManyReasons(wait)
            for ended in snapshot.purposes_of(actor.person):
                if ended.ends <= now:
                    change.remove(ended)  # the plant's record keeps it
            purpose = Purpose(actor.person, plant, reason, now, now + lasts)
            change.put(purpose)
            person, name = account_of(snapshot, actor)
            await change.record(PlantEvent(plant, now, PlantEventKind.PURPOSE_DECLARED, person, name, reason))
            return purpose

    async def end(self, actor: Actor, plant: PlantId) -> None:
        """The work is done: connections of the person to the plant end where a purpose is required."""
        async with self._context.change(actor) as change:
            snapshot = change.snapshot
            purpose = snapshot.purposes.get(actor.person or "", plant)
            if purpose is None:
                raise NotFound("there is no declared reason for this plant")
            change.remove(purpose)
            person, name = account_of(snapshot, actor)
            event = PlantEvent(plant, self._context.now(), PlantEventKind.PURPOSE_ENDED, person, name, purpose.text)
            await change.record(event)
