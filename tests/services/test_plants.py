"""Plants, subnets, devices, web targets, VPN services and gateways through the services."""

import pytest

from plantgate_hub.domain.model import Job, OrgRole, Scheme
from plantgate_shared.errors import Conflict, Denied, InvalidInput, NotFound
from plantgate_shared.identity.enrolment import derive
from plantgate_shared.identity.keys import WireGuardKey
from tests.services.conftest import Gateway


def gateway(number: int = 1) -> Gateway:
    return Gateway(bytes([number]) * 32, WireGuardKey.generate().public)


async def subnet(world, network="192.168.1.0/24", plant=None):
    return await world.services.plants.add_subnet(world.actor("ada"), (plant or world.wind).id, network)


async def test_new_plants_are_in_the_default_service(world):
    (service,) = (await world.snapshot()).services_of(world.north.id)
    assert service.plants == {world.wind.id, world.solar.id}


async def test_who_may_configure(world):
    technical, viewer = world.actor("tom"), world.actor("mod")
    await world.services.organizations.set_member(
        world.actor("ada"), world.north.id, world.id("mod"), OrgRole.MEMBER, Job.VIEWER
    )
    with pytest.raises(NotFound, match="no such plant"):
        await world.services.plants.add_subnet(technical, world.wind.id, "192.168.1.0/24")
    with pytest.raises(Denied, match="not high enough"):
        await world.services.plants.add_subnet(viewer, world.wind.id, "192.168.1.0/24")
    with pytest.raises(NotFound, match="no such plant"):
        await world.services.plants.add_subnet(world.actor("root"), world.wind.id, "192.168.1.0/24")
    await world.services.grants.give(world.actor("ada"), world.id("tom"), world.wind.id, Job.TECHNICAL_MANAGER)
    added = await world.services.plants.add_subnet(technical, world.wind.id, "192.168.1.0/24")
    with pytest.raises(Denied):
        await world.services.plants.remove(technical, world.wind.id)
    with pytest.raises(NotFound, match="no such plant"):
        await world.services.plants.add_subnet(technical, world.solar.id, "192.168.1.0/24")
    await world.services.plants.remove_subnet(technical, added.id)


async def test_subnets_of_two_plants_may_be_the_same_and_get_stand_ins_of_their_own(world):
    one, two = await subnet(world), await subnet(world, plant=world.solar)
    assert (one.number, two.number) == (1, 2)
    assert not one.transit.overlaps(two.transit)
    with pytest.raises(Conflict, match=r"overlaps the plant's subnet 192.168.1.0/24"):
        await subnet(world, "192.168.0.0/23")


async def test_a_number_is_never_used_again_and_a_transit_prefix_not_soon(world):
    first = await subnet(world)
    await world.services.plants.remove_subnet(world.actor("ada"), first.id)
    second = await subnet(world)
    assert second.number == first.number + 1
    assert second.transit != first.transit


async def test_devices_are_hosts_of_the_plants_subnets(world):
    ada = world.actor("ada")
    added = await subnet(world)
    for address, message in (
        ("10.0.0.1", "none of the plant's subnets"),
        ("192.168.1.0", "no host"),
        ("192.168.1.255", "no host"),
        ("x", "not an IPv4 address"),
    ):
        with pytest.raises(InvalidInput, match=message):
            await world.services.plants.add_device(ada, world.wind.id, "inverter", address)
    device = await world.services.plants.add_device(ada, world.wind.id, "inverter", "192.168.1.10")
    for name, address in (("Inverter", "192.168.1.11"), ("other", "192.168.1.10")):
        with pytest.raises(Conflict):
            await world.services.plants.add_device(ada, world.wind.id, name, address)
    with pytest.raises(Conflict, match="holds the device 'inverter'"):
        await world.services.plants.remove_subnet(ada, added.id)
    moved = await world.services.plants.change_device(ada, device.id, address="192.168.1.12")
    assert str(moved.address) == "192.168.1.12"
    await world.services.plants.remove_device(ada, device.id)
    await world.services.plants.remove_subnet(ada, added.id)


async def test_web_targets(world):
    ada = world.actor("ada")
    await subnet(world)
    device = await world.services.plants.add_device(ada, world.wind.id, "inverter", "192.168.1.10")
    target = await world.services.plants.add_target(ada, device.id, "Wind-Inverter", scheme=Scheme.HTTP)
    assert (target.host, target.port) == ("wind-inverter", 80)
    with pytest.raises(Conflict, match="in use already"):
        await world.services.plants.add_target(ada, device.id, "wind-inverter")
    for label in ("", "-a", "a-", "a.b", "xn--a", "ä", "a" * 64, "a_b"):
        with pytest.raises(InvalidInput, match="host name's label"):
            await world.services.plants.add_target(ada, device.id, label)
    for more in ({"port": 0}, {"port": 65536}, {"base_path": "x"}, {"base_path": "/a b"}, {"base_path": "/?x"}):
        with pytest.raises(InvalidInput):
            await world.services.plants.add_target(ada, device.id, "other", **more)
    pinned = await world.services.plants.pin_certificate(ada, target.id, "AB:" * 31 + "CD")
    assert pinned.pinned_sha256 == "ab" * 31 + "cd"
    with pytest.raises(InvalidInput, match="64 hexadecimal"):
        await world.services.plants.pin_certificate(ada, target.id, "abc")
    with pytest.raises(NotFound):
        await world.services.plants.remove_target(world.actor("sam"), target.id)
    await world.services.plants.remove_target(ada, target.id)


async def test_removing_a_plant_takes_everything_along(world):
    ada = world.actor("ada")
    await subnet(world)
    device = await world.services.plants.add_device(ada, world.wind.id, "inverter", "192.168.1.10")
    await world.services.plants.add_target(ada, device.id, "wind")
    await world.services.grants.give(ada, world.id("tom"), world.wind.id, Job.OPERATOR)
    await world.services.cooperations.offer(ada, world.wind.id, world.south.id, Job.OPERATOR)
    code = await world.services.agents.create_code(ada, world.wind.id)
    await world.services.agents.enrol(code.record.lookup_id, gateway(), world.clock.now)
    await world.services.plants.remove(ada, world.wind.id)
    snapshot = await world.snapshot()
    for table in (snapshot.subnets, snapshot.devices, snapshot.targets, snapshot.grants, snapshot.agents):
        assert len(table) == 0
    assert len(snapshot.cooperations) == 0
    (service,) = snapshot.services_of(world.north.id)
    assert service.plants == {world.solar.id}


async def test_leaving_the_last_service_needs_to_be_confirmed(world):
    vpn, ada = world.services.vpn, world.actor("ada")
    (default,) = (await world.snapshot()).services_of(world.north.id)
    with pytest.raises(Conflict, match="ends VPN for everyone to: Wind"):
        await vpn.unassign(ada, default.id, world.wind.id)
    second = await vpn.create(ada, world.north.id, "Second")
    await vpn.assign(ada, second.id, world.wind.id)
    await vpn.unassign(ada, default.id, world.wind.id)
    with pytest.raises(Conflict, match="ends VPN"):
        await vpn.remove(ada, second.id)
    await vpn.remove(ada, second.id, confirmed=True)
    with pytest.raises(Conflict, match="default"):
        await vpn.remove(ada, default.id, confirmed=True)
    with pytest.raises(NotFound, match="no such VPN service"):
        await vpn.assign(world.actor("sam"), default.id, world.wind.id)


async def test_services_are_managed_by_technical_managers_organization_wide_too(world):
    with pytest.raises(Denied):
        await world.services.vpn.create(world.actor("tom"), world.north.id, "Mine")
    await world.services.organizations.set_member(
        world.actor("ada"), world.north.id, world.id("tom"), OrgRole.MEMBER, Job.TECHNICAL_MANAGER
    )
    await world.services.vpn.create(world.actor("tom"), world.north.id, "Mine")


async def test_a_code_enrols_one_gateway_once(world):
    agents = world.services.agents
    code = await agents.create_code(world.actor("ada"), world.wind.id, "box")
    assert code.code not in repr(code)
    lookup = derive(code.code).lookup
    record = await agents.find(lookup)
    assert record.mac_key == derive(code.code).mac_key.reveal()
    first = gateway(1)
    agent, name = await agents.enrol(lookup, first, world.clock.now)
    assert (name, agent.name, agent.active, agent.epoch) == ("Wind", "box", True, 1)
    assert str(agent.transit_address) == "240.0.0.2"
    assert await agents.enrol(lookup, first, world.clock.now) == (agent, "Wind"), "its first reply was lost"
    assert await agents.enrol(lookup, gateway(2), world.clock.now) is None
    assert await agents.enrol("0" * 32, gateway(2), world.clock.now) is None


async def test_a_code_expires(world):
    code = await world.services.agents.create_code(world.actor("ada"), world.wind.id, valid_for=60)
    world.clock.now += 60
    assert await world.services.agents.enrol(code.record.lookup_id, gateway(), world.clock.now) is None
    for span in (1, 31 * 86400):
        with pytest.raises(InvalidInput):
            await world.services.agents.create_code(world.actor("ada"), world.wind.id, valid_for=span)
    with pytest.raises(NotFound):
        await world.services.agents.create_code(world.actor("sam"), world.wind.id)


async def test_a_code_is_withdrawn(world):
    agents, ada = world.services.agents, world.actor("ada")
    lookup = (await agents.create_code(ada, world.wind.id, "box")).record.lookup_id
    assert [code.lookup_id for code in await agents.open_codes(ada, world.wind.id)] == [lookup]
    with pytest.raises(NotFound):
        await agents.withdraw_code(world.actor("sam"), world.wind.id, lookup)
    with pytest.raises(NotFound):
        await agents.withdraw_code(ada, world.solar.id, lookup)
    await agents.withdraw_code(ada, world.wind.id, lookup)
    assert await agents.open_codes(ada, world.wind.id) == ()
    assert await agents.enrol(lookup, gateway(), world.clock.now) is None


async def test_a_second_gateway_stands_by_until_it_is_activated(world):
    agents, ada = world.services.agents, world.actor("ada")
    made = []
    for number in (1, 2):
        code = await agents.create_code(ada, world.wind.id)
        agent, _ = await agents.enrol(code.record.lookup_id, gateway(number), world.clock.now)
        made.append(agent)
    assert [(a.name, a.active, a.epoch) for a in made] == [("gateway", True, 1), ("gateway 2", False, 2)]
    activated = await agents.activate(ada, made[1].id)
    snapshot = await world.snapshot()
    assert snapshot.active_agent_of(world.wind.id) == activated
    assert activated.epoch == 3
    assert not snapshot.agents.get(made[0].id).active
    await agents.remove(ada, made[1].id)
    assert (await world.snapshot()).active_agent_of(world.wind.id) is None


async def test_a_gateways_keys_are_its_own(world):
    agents, ada = world.services.agents, world.actor("ada")
    first = gateway(1)
    codes = [await agents.create_code(ada, plant) for plant in (world.wind.id, world.solar.id)]
    await agents.enrol(codes[0].record.lookup_id, first, world.clock.now)
    for twin in (first, Gateway(b"\x02" * 32, first.wireguard_key), Gateway(b"\x01" * 32, gateway().wireguard_key)):
        with pytest.raises(Conflict, match="keys are in use"):
            await agents.enrol(codes[1].record.lookup_id, twin, world.clock.now)
    assert await agents.enrol(codes[1].record.lookup_id, gateway(2), world.clock.now), "the code was not used up"


async def test_a_boundary_is_a_change_only_where_it_differs(world):
    code = await world.services.agents.create_code(world.actor("ada"), world.wind.id)
    agent, _ = await world.services.agents.enrol(code.record.lookup_id, gateway(), world.clock.now)
    networks = [(await subnet(world)).network]
    await world.services.agents.report_boundary(agent.id, networks)
    revision = await world.store.revision()
    await world.services.agents.report_boundary(agent.id, networks * 2)
    assert await world.store.revision() == revision
    assert (await world.snapshot()).agents.get(agent.id).boundary == tuple(networks)
