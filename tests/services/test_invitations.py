"""How people come into an organization: nobody without their own doing, nobody by a link that is not theirs."""

import asyncio
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

import pytest

from plantgate_hub.domain.accounts import DAY, INVITATION_SECONDS, AccountEvent
from plantgate_hub.domain.model import Job, OrgRole
from plantgate_hub.services import CONSOLE, acting
from plantgate_hub.services.invitations import MAX_OPEN, ForeignLink, TooManyInvitations
from plantgate_hub.services.secrets import LinkVoid
from plantgate_shared.errors import Conflict, Denied, InvalidInput, NotFound

NEW = "new@example.com"
PASSWORD = "a good password"


def secret_of(link: str) -> str:
    return parse_qs(urlsplit(link).query)["code"][0]


async def invite(world, by="ada", email=NEW, role=OrgRole.MEMBER, job=None, organization=None, **more) -> str:
    """The link's secret."""
    actor = world.actor(by) if by else CONSOLE
    place = (organization or world.north).id
    return secret_of((await world.services.invitations.create(actor, place, email, role, job, **more)).link)


async def test_a_new_person_makes_an_account_with_the_link_and_is_a_member(world):
    secret = await invite(world, "mod", " New@Example.com ", job=Job.TECHNICAL_MANAGER)
    offer = await world.services.invitations.offer(secret)
    assert (offer.organization, offer.invitation.email) == ("North", NEW)
    assert offer.invitation.expires == world.clock.now + INVITATION_SECONDS
    person = await world.services.invitations.join(secret, "Nora", PASSWORD)
    snapshot = await world.snapshot()
    membership = snapshot.memberships.get(person.id, world.north.id)
    assert (membership.role, membership.job) == (OrgRole.MEMBER, Job.TECHNICAL_MANAGER)
    assert snapshot.person_by_email(NEW) == person
    assert (await world.store.credentials.password_of(NEW)).password_hash == f"hashed {PASSWORD}"
    events = [record.event for record in await world.store.accounts.history(9, person.id)]
    assert events == [AccountEvent.INVITATION_ACCEPTED]


async def test_who_has_an_account_accepts_with_it(world):
    secret = await invite(world, email="sue@example.com", role=OrgRole.GUEST)
    assert (await world.snapshot()).memberships.get(world.id("sue"), world.north.id) is None
    await world.services.invitations.accept(world.actor("sue"), secret)
    assert (await world.snapshot()).memberships.get(world.id("sue"), world.north.id).role is OrgRole.GUEST


@pytest.mark.parametrize("known", [True, False])
async def test_the_inviter_learns_nothing_of_accounts(world, known):
    email = "sue@example.com" if known else NEW
    made = await world.services.invitations.create(world.actor("ada"), world.north.id, email)
    (listed,) = await world.services.invitations.open(world.actor("ada"), world.north.id)
    assert listed == made.invitation
    assert world.id("sue") not in repr(made)
    assert made.link.startswith("https://portal.localhost/invitation?code=")
    assert len(secret_of(made.link)) >= 43  # 256 bits
    assert made.link not in repr(made)


async def test_a_link_works_once(world):
    secret = await invite(world)
    person = await world.services.invitations.join(secret, "Nora", PASSWORD)
    for again in (
        world.services.invitations.offer(secret),
        world.services.invitations.join(secret, "Nora", PASSWORD),
        world.services.invitations.accept(acting(person.id), secret),
    ):
        with pytest.raises(LinkVoid):
            await again


async def test_of_two_who_use_a_link_at_once_one_gets_in(world):
    secret = await invite(world)

    async def join(name: str) -> str | None:
        with suppress(LinkVoid, Conflict):
            return (await world.services.invitations.join(secret, name, PASSWORD)).name
        return None

    names = await asyncio.gather(join("One"), join("Two"))
    assert sorted(map(bool, names)) == [False, True]


@pytest.mark.parametrize("end", ["expired", "withdrawn", "replaced", "unknown", "organization gone"])
async def test_a_dead_link_opens_nothing(world, end):
    east = await world.services.organizations.create(CONSOLE, "East")
    secret = await invite(world, "", organization=east)
    if end == "expired":
        world.clock.now += INVITATION_SECONDS
    elif end == "withdrawn":
        (invitation,) = await world.services.invitations.open(CONSOLE, east.id)
        await world.services.invitations.withdraw(CONSOLE, east.id, invitation.id)
    elif end == "replaced":
        await invite(world, "", organization=east)
    elif end == "unknown":
        secret = "x" * 43
    else:
        await world.services.organizations.remove(CONSOLE, east.id)
    revision = await world.store.revision()
    with pytest.raises(LinkVoid, match="used, withdrawn or has expired"):
        await world.services.invitations.join(secret, "Nora", PASSWORD)
    with pytest.raises(LinkVoid):
        await world.services.invitations.accept(world.actor("sue"), secret)
    assert await world.store.revision() == revision


async def test_a_link_is_for_one_address_only(world):
    secret = await invite(world, email="sue@example.com", role=OrgRole.ADMINISTRATOR)
    with pytest.raises(ForeignLink):
        await world.services.invitations.accept(world.actor("tom"), secret)
    with pytest.raises(Conflict, match="account with this e-mail address already"):
        await world.services.invitations.join(secret, "Sue", PASSWORD)
    assert await world.job("sue") is None
    await world.services.invitations.accept(world.actor("sue"), secret)  # neither used it up
    assert await world.job("sue") is Job.OPERATOR


async def test_a_bad_password_or_name_uses_nothing_up(world):
    secret = await invite(world)
    for name, password in (("Nora", "short"), ("", PASSWORD)):
        with pytest.raises(InvalidInput):
            await world.services.invitations.join(secret, name, password)
    await world.services.invitations.join(secret, "Nora", PASSWORD)


@pytest.mark.parametrize("loss", ["demoted", "deleted", "left"])
async def test_an_invitation_is_worth_what_its_maker_may_do_now(world, loss):
    await world.services.organizations.set_member(
        world.actor("ada"), world.north.id, world.id("tom"), OrgRole.ADMINISTRATOR
    )
    secret = await invite(world, "tom", role=OrgRole.ADMINISTRATOR)
    if loss == "demoted":
        await world.services.organizations.set_member(
            world.actor("ada"), world.north.id, world.id("tom"), OrgRole.MODERATOR
        )
    elif loss == "deleted":
        await world.services.people.delete(world.actor("tom"), world.id("tom"))
    else:
        await world.services.organizations.remove_member(world.actor("tom"), world.north.id, world.id("tom"))
    with pytest.raises(LinkVoid):
        await world.services.invitations.join(secret, "Nora", PASSWORD)


async def test_who_may_invite(world):
    create = world.services.invitations.create
    with pytest.raises(Denied):
        await create(world.actor("tom"), world.north.id, NEW)
    for stranger in ("sam", "root"):
        with pytest.raises(NotFound):
            await create(world.actor(stranger), world.north.id, NEW)
    with pytest.raises(Denied):
        await create(world.actor("mod"), world.north.id, NEW, OrgRole.ADMINISTRATOR)
    with pytest.raises(InvalidInput, match="organization-wide"):
        await create(world.actor("ada"), world.north.id, NEW, OrgRole.MEMBER, Job.OPERATOR)
    for seconds in (0, 31 * DAY):
        with pytest.raises(InvalidInput, match="30 days"):
            await create(world.actor("ada"), world.north.id, NEW, valid_for=seconds)
    with pytest.raises(Conflict, match="member has this address"):
        await create(world.actor("ada"), world.north.id, "tom@example.com")
    assert await world.services.invitations.open(world.actor("ada"), world.north.id) == ()


async def test_who_may_list_and_withdraw(world):
    await invite(world, "ada", role=OrgRole.ADMINISTRATOR)
    service = world.services.invitations
    (invitation,) = await service.open(world.actor("mod"), world.north.id)
    for name, error in (("tom", Denied), ("sam", NotFound), ("root", NotFound)):
        with pytest.raises(error):
            await service.open(world.actor(name), world.north.id)
        with pytest.raises(error):
            await service.withdraw(world.actor(name), world.north.id, invitation.id)
    with pytest.raises(Denied):  # an Administrator's place is none of a Moderator's business
        await service.withdraw(world.actor("mod"), world.north.id, invitation.id)
    with pytest.raises(NotFound, match="no such invitation"):
        await service.withdraw(world.actor("sam"), world.south.id, invitation.id)
    await service.withdraw(world.actor("ada"), world.north.id, invitation.id)
    assert await service.open(world.actor("ada"), world.north.id) == ()


async def test_a_cloud_operator_invites_the_first_administrator_and_nobody_after(world):
    east = await world.services.organizations.create(world.actor("root"), "East")
    first = await invite(world, "root", "sue@example.com", OrgRole.ADMINISTRATOR, organization=east)
    second = await invite(world, "root", "tom@example.com", OrgRole.ADMINISTRATOR, organization=east)
    assert len(await world.services.invitations.open(world.actor("root"), east.id)) == 2
    with pytest.raises(NotFound):
        await world.services.invitations.create(world.actor("root"), east.id, NEW, OrgRole.MEMBER)
    await world.services.invitations.accept(world.actor("sue"), first)
    with pytest.raises(LinkVoid):
        await world.services.invitations.accept(world.actor("tom"), second)
    with pytest.raises(NotFound):
        await invite(world, "root", NEW, OrgRole.ADMINISTRATOR, organization=east)


async def test_a_cloud_operator_gets_to_no_plants_through_an_organization_without_administrators(world):
    """South has no plants of its own, but North's: whoever administers South invites people to them."""
    offer = await world.services.cooperations.offer(world.actor("ada"), world.wind.id, world.south.id, Job.OPERATOR)
    await world.services.cooperations.accept(world.actor("sam"), offer.id)
    await world.services.people.delete(world.actor("root"), world.id("sam"))
    with pytest.raises(NotFound):
        await invite(world, "root", "root@example.com", OrgRole.ADMINISTRATOR, organization=world.south)


async def test_an_invitation_never_changes_a_membership(world):
    secret = await invite(world, email="sue@example.com", role=OrgRole.GUEST)
    await world.services.organizations.set_member(CONSOLE, world.north.id, world.id("sue"), OrgRole.MODERATOR)
    with pytest.raises(Conflict, match="member already"):
        await world.services.invitations.accept(world.actor("sue"), secret)
    assert (await world.snapshot()).memberships.get(world.id("sue"), world.north.id).role is OrgRole.MODERATOR


async def test_nobodys_mailbox_is_flooded(world):
    service, ada = world.services.invitations, world.actor("ada")
    for _ in range(5):
        made = await service.create(ada, world.north.id, NEW)
        await service.withdraw(ada, world.north.id, made.invitation.id)
    with pytest.raises(TooManyInvitations, match="60 minutes"):
        await service.create(ada, world.north.id, NEW)
    await service.create(ada, world.north.id, "other@example.com")
    await service.create(CONSOLE, world.north.id, NEW)
    world.clock.now += 3600
    await service.create(ada, world.north.id, NEW)


async def test_open_invitations_are_bounded_and_expired_ones_make_room(world):
    for number in range(MAX_OPEN):
        await invite(world, "", f"p{number}@example.com", valid_for=DAY)
    with pytest.raises(Conflict, match="withdraw some"):
        await invite(world)
    world.clock.now += DAY
    await invite(world)
    assert len(await world.services.invitations.open(CONSOLE, world.north.id)) == 1
