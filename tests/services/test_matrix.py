"""Services ask for the right action: every kind of person calls them, and gets through exactly where the table says."""

from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from plantgate_hub.domain.model import HoldScope, Job, OrgRole
from plantgate_hub.domain.policy import Action
from plantgate_hub.services import Services, acting
from plantgate_shared.errors import Denied, NotFound
from tests import worlds
from tests.permission_matrix import KINDS, MATRIX, cooperation, rows_of


class Rehearsed(Exception):
    """The change would have been made."""


class Rehearsal:
    """The store, but that no change is kept."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    @asynccontextmanager
    async def change(self, actor):
        async with self._store.change(actor) as change:
            yield change
            if actor:  # nobody's change is a look
                raise Rehearsed


async def calls(world, services, actor):
    """(action, call) for what each service does; only its permission matters."""
    north, wind, tom = world.north.id, world.wind.id, world.id("tom")
    yield Action.CONFIGURE_PLANT, services.plants.add_subnet(actor, wind, "192.168.7.0/24")
    yield Action.ENROL_GATEWAY, services.agents.create_code(actor, wind)
    yield Action.ENROL_GATEWAY, services.agents.open_codes(actor, wind)
    yield Action.END_ACCESS, services.holds.end_access(actor, wind, HoldScope.EVERYONE)
    yield Action.RESTORE_ACCESS, services.holds.restore(actor, wind, HoldScope.EXTERNAL)
    yield Action.DECLARE_PURPOSE, services.purposes.declare(actor, wind, "ticket 7")
    yield Action.SEE_CONNECTIONS, services.answers.plant_record(actor, wind)
    yield Action.MANAGE_SERVICES, services.vpn.create(actor, north, "Second")
    yield Action.MANAGE_PLANTS, services.plants.create(actor, north, "Hydro")
    yield Action.MANAGE_PLANTS, services.plants.rename(actor, wind, "Hydro")
    yield Action.MANAGE_PLANTS, services.plants.remove(actor, wind)
    yield Action.MANAGE_MEMBERS, services.grants.give(actor, tom, wind, Job.VIEWER)
    yield Action.MANAGE_MEMBERS, services.organizations.set_member(actor, north, tom, OrgRole.GUEST)
    yield Action.MANAGE_MEMBERS, services.organizations.remove_member(actor, north, tom)
    yield Action.MANAGE_MEMBERS, services.invitations.create(actor, north, "new@example.com")
    yield Action.MANAGE_MEMBERS, services.answers.explain(actor, tom, wind)
    yield Action.MANAGE_COOPERATIONS, services.cooperations.offer(actor, world.wind.id, world.east.id, Job.VIEWER)
    yield Action.MANAGE_ORGANIZATION, services.organizations.rename(actor, north, "Nord")
    yield Action.MANAGE_ORGANIZATION, services.purposes.set_policy(actor, north, required=True)
    yield Action.RUN_PLATFORM, services.organizations.create(actor, "West")
    yield Action.RUN_PLATFORM, services.people.create(actor, "new@example.com", "New")
    yield Action.RUN_PLATFORM, services.people.set_cloud_operator(actor, tom, True)
    yield Action.MANAGE_ACCOUNT, services.people.rename(actor, actor.person, "Another Name")


@pytest.mark.parametrize("kind", KINDS)
async def test_services_let_through_whom_the_table_lets_through(world, kind):
    world.east = await world.services.organizations.create(world.actor("root"), "East")
    async with world.store.change("test") as change:
        change.put(worlds.person("who", totp_active=True))
        change.put(cooperation(world.wind.id, world.south.id))
        for row in rows_of(kind, "who", world.north.id, world.wind.id, world.south.id, world.east.id):
            change.put(row)
    services = Services(replace(world.services.context, store=Rehearsal(world.store)))
    async for action, call in calls(world, services, acting(worlds.person("who").id)):
        try:
            await call
            through = True
        except Rehearsed:
            through = True
        except Denied:
            through = False
        except NotFound as error:
            through = "there is no such" not in str(error)
        assert through == (MATRIX[action][kind] != "."), (action, call)


async def test_what_is_rehearsed_is_not_kept(world):
    services = Services(replace(world.services.context, store=Rehearsal(world.store)))
    with pytest.raises(Rehearsed):
        await services.holds.end_access(world.actor("ada"), world.wind.id)
    assert not (await world.snapshot()).holds_on(world.wind.id)
