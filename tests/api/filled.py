"""A filled world for the API: one of each kind of thing in North, and West, whose people are strangers to all of it."""

from base64 import b64encode
from dataclasses import asdict, dataclass, field
from ipaddress import IPv4Network
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from plantgate_hub.domain.model import HoldScope, Job, OrganizationId, OrgRole, PersonId, Scheme
from plantgate_hub.domain.scopes import TokenScope
from plantgate_hub.identity.sessions import session_id
from plantgate_hub.services import CONSOLE, Services, acting
from plantgate_hub.store.protocol import SessionRecord
from tests.services.conftest import Gateway


def public_key() -> str:
    return b64encode(X25519PrivateKey.generate().public_key().public_bytes_raw()).decode()


@dataclass
class Filled:
    """Ids by name. People: `root` cloud operator; `ada` Administrator, `mod` Moderator, `tom` member, `vic` Viewer on
    wind and `tec` Technical Manager on it in North; `sam` Administrator and `sue` member in South, with which wind is
    shared; `wes` Administrator of West."""

    people: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        return asdict(self)


PEOPLE = (
    ("ada", "north", OrgRole.ADMINISTRATOR),
    ("mod", "north", OrgRole.MODERATOR),
    ("tom", "north", OrgRole.MEMBER),
    ("vic", "north", OrgRole.MEMBER),
    ("tec", "north", OrgRole.MEMBER),
    ("sam", "south", OrgRole.ADMINISTRATOR),
    ("sue", "south", OrgRole.MEMBER),
    ("wes", "west", OrgRole.ADMINISTRATOR),
)


async def fill(services: Services, now: float) -> Filled:
    world = Filled()
    ids, people = world.ids, world.people
    for name in ("north", "south", "west", "empty"):
        ids[name] = (await services.organizations.create(CONSOLE, name.title())).id
    people["root"] = (await services.people.bootstrap(CONSOLE, "root@example.com", "Root", "a good password")).id
    for name, organization, role in PEOPLE:
        made = await services.people.create(
            CONSOLE, f"{name}@example.com", name.title(), organization=OrganizationId(ids[organization]), role=role
        )
        people[name] = made.id
    ada, sam, wes = (acting(PersonId(people[name])) for name in ("ada", "sam", "wes"))
    await _fill_plants(services, ids, ada, wes)
    await _fill_access(services, ids, people, ada, sam, now)
    await _fill_accounts(services, ids, people, ada, wes)
    for name, owner in (("ada", ada), ("wes", wes)):
        profile = await services.profiles.create(owner, PersonId(people[name]), "laptop", public_key())
        ids[f"profile of {name}"] = profile.id
    return world


async def _fill_plants(services: Services, ids: dict[str, Any], ada: Any, wes: Any) -> None:
    for actor, owner, name, network in (
        (ada, "north", "wind", "192.168.1.0/24"),
        (ada, "north", "solar", "192.168.1.0/25"),
        (wes, "west", "mill", "10.0.0.0/24"),
    ):
        plant = await services.plants.create(actor, ids[owner], name.title())
        subnet = await services.plants.add_subnet(actor, plant.id, network)
        device = await services.plants.add_device(actor, plant.id, "Inverter", str(IPv4Network(network)[10]))
        target = await services.plants.add_target(actor, device.id, f"{name}-inverter", scheme=Scheme.HTTPS)
        code = await services.agents.create_code(actor, plant.id, "spare")
        used = await services.agents.create_code(actor, plant.id, "gateway")
        gateway = Gateway(name.encode().ljust(32, b"i"), public_key())
        enrolled = await services.agents.enrol(used.record.lookup_id, gateway, services.context.now())
        assert enrolled
        ids |= {name: plant.id, f"{name} subnet": subnet.id, f"{name} device": device.id, f"{name} target": target.id}
        ids |= {f"{name} code": code.record.lookup_id, f"{name} gateway": enrolled[0].id}
    ids["empty subnet"] = (await services.plants.add_subnet(ada, ids["wind"], "10.9.0.0/24")).id


async def _fill_access(
    services: Services, ids: dict[str, Any], people: dict[str, Any], ada: Any, sam: Any, now: float
) -> None:
    for name, job in (("tom", Job.OPERATOR), ("vic", Job.VIEWER), ("tec", Job.TECHNICAL_MANAGER)):
        await services.grants.give(ada, people[name], ids["wind"], job, reason="works there")
    shared = await services.cooperations.offer(
        ada, ids["wind"], ids["south"], Job.OPERATOR, ends=now + 86400, reason="repair"
    )
    await services.cooperations.accept(sam, shared.id)
    await services.cooperations.invite(sam, shared.id, people["sue"], Job.TECHNICAL_MANAGER)
    offered = await services.cooperations.offer(ada, ids["solar"], ids["south"], Job.VIEWER)
    await services.holds.end_access(ada, ids["solar"], HoldScope.EXTERNAL, "inspection")
    await services.purposes.declare(ada, ids["wind"], "ticket 7")
    second = await services.vpn.create(ada, ids["north"], "Second")
    await services.vpn.assign(ada, second.id, ids["wind"])
    ids |= {"shared": shared.id, "offered": offered.id, "second": second.id, "hold": HoldScope.EXTERNAL.value}


async def _fill_accounts(services: Services, ids: dict[str, Any], people: dict[str, Any], ada: Any, wes: Any) -> None:
    now = services.context.now()
    for name, actor, place in (("ada", ada, "north"), ("wes", wes, "west")):
        token = await services.tokens.create(actor, people[name], "script", [TokenScope.READ])
        invited = await services.invitations.create(actor, ids[place], f"{name}s-friend@example.com")
        phone = SessionRecord(session_id(f"phone of {name}"), people[name], now, now, now + 3600, browser="Phone")
        await services.context.store.sessions.add(phone)
        ids |= {
            f"token of {name}": token.token.id,
            f"invitation to {place}": invited.invitation.id,
            f"session of {name}": phone.id,
        }
