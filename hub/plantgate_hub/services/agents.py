"""Gateways: one-time enrolment codes, the agents made with them, and what agents report."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from typing import Protocol

from plantgate_shared.errors import Conflict, InvalidInput, NotFound
from plantgate_shared.identity.enrolment import ENTROPY_BYTES, derive, make_code

from ..domain.clients import check_public_key
from ..domain.model import Agent, AgentId, Plant, PlantId
from ..domain.policy import Action
from ..domain.pools import next_address
from ..domain.snapshot import Snapshot
from ..store.ids import new_id
from ..store.protocol import ChangeTransaction, Counter, EnrolmentCode
from .context import HUB, Actor, Context, clean_name

DEFAULT_VALIDITY = 24 * 3600.0
LONGEST_VALIDITY = 30 * 24 * 3600.0
MAX_AGENTS = 10
"""Gateways of one plant."""


@dataclass(frozen=True, slots=True)
class NewCode:
    """A code for the installer; shown once, the hub keeps only what is derived from it."""

    code: str
    record: EnrolmentCode

    def __repr__(self) -> str:
        return f"NewCode(***, {self.record!r})"


class Candidate(Protocol):
    """A gateway that proved it holds a code (`tunnel.enrol.NewAgent`)."""

    @property
    def identity_key(self) -> bytes: ...
    @property
    def wireguard_key(self) -> str: ...
    @property
    def name(self) -> str: ...


class Agents:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def create_code(
        self, actor: Actor, plant: PlantId, name: str = "gateway", *, valid_for: float = DEFAULT_VALIDITY
    ) -> NewCode:
        """A one-time code with which a gateway enrols for the plant."""
        if not 60 <= valid_for <= LONGEST_VALIDITY:
            raise InvalidInput("a code is valid for between one minute and 30 days")
        code = make_code(os.urandom(ENTROPY_BYTES))
        keys = derive(code)
        now = self._context.now()
        record = EnrolmentCode(keys.lookup, keys.mac_key.reveal(), plant, clean_name(name), now, now + valid_for)
        async with self._context.change(actor) as change:
            self._context.plant(change.snapshot, actor, Action.ENROL_GATEWAY, plant)
            await change.add_enrolment_code(record)
        return NewCode(code, record)

    async def open_codes(self, actor: Actor, plant: PlantId) -> tuple[EnrolmentCode, ...]:
        """The plant's codes that can still be used."""
        async with self._context.change(actor) as change:
            self._context.plant(change.snapshot, actor, Action.ENROL_GATEWAY, plant)
            return await change.open_enrolment_codes(plant, self._context.now())

    async def withdraw_code(self, actor: Actor, plant: PlantId, lookup: str) -> None:
        """Make a code of the plant useless, for one that was lost or whose maker should not have made it."""
        async with self._context.change(actor) as change:
            self._context.plant(change.snapshot, actor, Action.ENROL_GATEWAY, plant)
            codes = await change.open_enrolment_codes(plant, self._context.now())
            if lookup not in {code.lookup_id for code in codes}:
                raise NotFound("the plant has no open code of that id", hint="enrolment-code list shows them")
            await change.remove_enrolment_code(lookup)

    async def find(self, lookup: str) -> EnrolmentCode | None:
        """The code, also when it was used or has expired: `enrol` decides that."""
        return await self._context.store.enrolment_code(lookup)

    async def enrol(self, lookup: str, agent: Candidate, now: float) -> tuple[Agent, str] | None:
        """Use the code up and make its agent, both in one change; the agent and its plant's name.

        None when the code is unknown, used or expired. The same gateway (by its identity key) asking again gets the
        agent that it made of this code before: its first reply may have been lost. A plant's first agent is active; a
        further one stands by until it is activated.
        """
        async with self._context.change(HUB) as change:
            identifier = AgentId(new_id())
            code = await change.use_enrolment_code(lookup, identifier, now)
            if code is None:
                return await _made_before(change, lookup, agent)
            snapshot = change.snapshot
            plant = snapshot.plants.get(code.plant)
            if plant is None:
                return None
            present = snapshot.agents_of(plant.id)
            if len(present) >= MAX_AGENTS:
                raise Conflict(f"a plant has at most {MAX_AGENTS} gateways", hint="remove one that is gone")
            _refuse_known_keys(snapshot, agent, self._context.reserved_keys)
            enrolled = Agent(
                identifier,
                plant.id,
                _free_name(snapshot, plant, code.name),
                agent.identity_key,
                check_public_key(agent.wireguard_key),
                await self._address(change),
                active=not any(other.active for other in present),
                epoch=max((other.epoch for other in present), default=0) + 1,
            )
            change.put(enrolled)
            return enrolled, plant.name

    async def _address(self, change: ChangeTransaction) -> IPv4Address:
        last = await change.counter(Counter.AGENT_ADDRESS)
        used = [agent.transit_address for agent in change.snapshot.agents]
        address = next_address(self._context.pools.agents, used, IPv4Address(last) if last else None)
        await change.set_counter(Counter.AGENT_ADDRESS, int(address))
        return address

    async def activate(self, actor: Actor, agent: AgentId) -> Agent:
        """Make this gateway the plant's active one: the others stop, and its epoch is higher than all before."""
        async with self._context.change(actor) as change:
            found = self._agent(change.snapshot, actor, agent)
            others = [other for other in change.snapshot.agents_of(found.plant) if other.id != agent]
            for other in others:
                if other.active:
                    change.put(replace(other, active=False))
            if found.active and not any(other.active for other in others):
                return found
            epoch = max(other.epoch for other in (found, *others)) + 1
            activated = replace(found, active=True, epoch=epoch)
            change.put(activated)
            return activated

    async def remove(self, actor: Actor, agent: AgentId) -> None:
        """Forget the gateway: its keys open nothing from then on."""
        async with self._context.change(actor) as change:
            change.remove(self._agent(change.snapshot, actor, agent))

    async def report_boundary(self, agent: AgentId, boundary: Sequence[IPv4Network]) -> Agent:
        """What the agent says its local boundary allows; a change only where it differs."""
        reported = tuple(sorted(set(boundary)))
        async with self._context.change(HUB) as change:
            found = change.snapshot.agents.get(agent)
            if found is None:
                raise NotFound("there is no such agent")
            if found.boundary == reported:
                return found
            changed = replace(found, boundary=reported)
            change.put(changed)
            return changed

    def _agent(self, snapshot: Snapshot, actor: Actor, agent: AgentId) -> Agent:
        found = snapshot.agents.get(agent)
        if found is None:
            raise NotFound("there is no such gateway")
        self._context.plant(snapshot, actor, Action.ENROL_GATEWAY, found.plant, "gateway")
        return found


async def _made_before(change: ChangeTransaction, lookup: str, agent: Candidate) -> tuple[Agent, str] | None:
    code = await change.enrolment_code(lookup)
    made = change.snapshot.agents.get(code.agent) if code else None
    plant = change.snapshot.plants.get(made.plant) if made else None
    if made is None or plant is None:
        return None
    if (made.identity_key, made.wireguard_key) != (agent.identity_key, agent.wireguard_key):
        return None
    return made, plant.name


def _refuse_known_keys(snapshot: Snapshot, agent: Candidate, reserved: frozenset[str]) -> None:
    key = agent.wireguard_key
    taken = snapshot.agents.one_by("wireguard key", key) or snapshot.profile_by_key(key)
    if taken is not None or key in reserved or any(a.identity_key == agent.identity_key for a in snapshot.agents):
        raise Conflict("the gateway's keys are in use already", hint="remove its old agent, or make new keys on it")


def _free_name(snapshot: Snapshot, plant: Plant, name: str) -> str:
    names = {agent.name for agent in snapshot.agents_of(plant.id)}
    if name not in names:
        return name
    return next(f"{name} {number}" for number in range(2, MAX_AGENTS + 2) if f"{name} {number}" not in names)
