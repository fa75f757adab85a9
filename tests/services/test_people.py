"""Accounts, organizations and roles through the services."""

import pyotp
import pytest

from plantgate_hub.domain.model import Job, OrgRole, PersonId
from plantgate_hub.domain.snapshot import Change, Kind
from plantgate_hub.services import CONSOLE, generate_password
from plantgate_hub.services.passwords import check_password, hash_password
from plantgate_hub.store import PasswordRecord, SessionRecord
from plantgate_shared.errors import Conflict, Denied, InvalidInput, NotFound


async def test_there_is_one_first_cloud_operator(world):
    with pytest.raises(Conflict, match="cloud operator already"):
        await world.services.people.bootstrap(CONSOLE, "other@example.com", "Other", "a good password")
    with pytest.raises(NotFound):
        await world.services.people.bootstrap(world.actor("root"), "other@example.com", "Other", "a good password")
    assert await world.store.credentials.password_of("root@example.com") == PasswordRecord(
        world.id("root"), "hashed a good password"
    )


async def test_history_names_who_did_it(world):
    records = await world.store.history(1000)
    actors = {record.actor for record in records}
    assert actors == {"console", f"person {world.id('root')}", f"person {world.id('ada')}"}


async def test_only_cloud_operators_make_organizations(world):
    for name in ("ada", "tom"):
        with pytest.raises(Denied, match="run the platform"):
            await world.services.organizations.create(world.actor(name), "East")
    with pytest.raises(Conflict, match="'north' already"):
        await world.services.organizations.create(world.actor("root"), " north ")


async def test_an_organization_begins_with_a_default_service_and_an_administrator(world):
    with pytest.raises(NotFound, match="invite them"):
        await world.services.organizations.create(world.actor("root"), "East", world.id("sue"))
    east = await world.services.organizations.create(CONSOLE, "East", world.id("sue"))
    snapshot = await world.snapshot()
    (service,) = snapshot.services_of(east.id)
    assert service.default
    assert snapshot.memberships.get(world.id("sue"), east.id).role is OrgRole.ADMINISTRATOR


async def test_cloud_operators_do_not_get_into_organizations_that_have_plants(world):
    people, organizations = world.services.people, world.services.organizations
    with pytest.raises(NotFound, match="no such organization"):
        await organizations.set_member(world.actor("root"), world.north.id, world.id("root"), OrgRole.ADMINISTRATOR)
    await people.delete(world.actor("root"), world.id("ada"))
    with pytest.raises(NotFound, match="no such organization"):
        await organizations.set_member(world.actor("root"), world.north.id, world.id("root"), OrgRole.ADMINISTRATOR)
    with pytest.raises(NotFound):
        await people.set_password(world.actor("root"), world.id("mod"), "another password")
    with pytest.raises(NotFound):
        await people.enrol_totp(world.actor("root"), world.id("mod"))
    assert await world.job("root") is None


async def test_moderators_do_not_touch_or_make_administrators(world):
    set_member = world.services.organizations.set_member
    mod = world.actor("mod")
    await set_member(mod, world.north.id, world.id("tom"), OrgRole.MODERATOR)
    for member in ("ada", "mod", "tom"):
        with pytest.raises(Denied):
            await set_member(mod, world.north.id, world.id(member), OrgRole.ADMINISTRATOR)
    with pytest.raises(Denied):
        await set_member(mod, world.north.id, world.id("ada"), OrgRole.MEMBER)
    with pytest.raises(Denied):
        await world.services.organizations.remove_member(mod, world.north.id, world.id("ada"))
    with pytest.raises(Denied):
        await world.services.people.create(
            mod, "new@example.com", "New", organization=world.north.id, role=OrgRole.ADMINISTRATOR
        )
    assert (await world.snapshot()).person_by_email("new@example.com") is None


async def test_members_and_strangers_manage_nobody(world):
    with pytest.raises(Denied):
        await world.services.organizations.set_member(world.actor("tom"), world.north.id, world.id("sue"))
    with pytest.raises(NotFound):
        await world.services.organizations.set_member(world.actor("sam"), world.north.id, world.id("sue"))
    for organization in (world.north.id, world.south.id):
        with pytest.raises(Denied):
            await world.services.people.create(world.actor("sam"), "x@example.com", "X", organization=organization)
    with pytest.raises(Denied):
        await world.services.people.create(world.actor("sam"), "x@example.com", "X")


async def test_operator_is_never_organization_wide(world):
    with pytest.raises(InvalidInput, match="cannot be granted organization-wide"):
        await world.services.organizations.set_member(
            world.actor("ada"), world.north.id, world.id("tom"), OrgRole.MEMBER, Job.OPERATOR
        )
    await world.services.organizations.set_member(
        world.actor("ada"), world.north.id, world.id("tom"), OrgRole.MEMBER, Job.TECHNICAL_MANAGER
    )
    assert await world.job("tom") is Job.TECHNICAL_MANAGER


async def test_an_organization_keeps_an_administrator(world):
    for change in (
        world.services.organizations.remove_member(world.actor("ada"), world.north.id, world.id("ada")),
        world.services.organizations.set_member(world.actor("ada"), world.north.id, world.id("ada"), OrgRole.GUEST),
    ):
        with pytest.raises(Conflict, match="only Administrator"):
            await change


async def test_leaving_takes_all_grants_along(world):
    await world.services.grants.give(world.actor("ada"), world.id("tom"), world.wind.id, Job.OPERATOR)
    await world.services.organizations.remove_member(world.actor("tom"), world.north.id, world.id("tom"))
    assert await world.job("tom") is None
    await world.services.organizations.set_member(CONSOLE, world.north.id, world.id("tom"))
    assert await world.job("tom") is None


@pytest.mark.parametrize("who", ["sue", "nobody"])
async def test_nobody_becomes_a_member_unasked(world, who):
    person = world.id("sue") if who == "sue" else PersonId("nobody")
    for name in ("ada", "mod"):
        with pytest.raises(NotFound, match="no member of the organization"):
            await world.services.organizations.set_member(world.actor(name), world.north.id, person)
    with pytest.raises(Denied, match="invite"):
        await world.services.people.create(world.actor("root"), "x@y.de", "X", organization=world.north.id)
    assert (await world.snapshot()).person_by_email("x@y.de") is None


async def test_a_password_is_set_by_its_person_or_the_console_and_ends_sessions(world):
    await world.services.people.set_password(CONSOLE, world.id("tom"), "a new password")
    assert (await world.store.credentials.password_of("tom@example.com")).password_hash == "hashed a new password"
    with pytest.raises(NotFound):
        await world.services.people.set_password(world.actor("ada"), world.id("tom"), "a new password")
    with pytest.raises(InvalidInput, match="shorter than 12"):
        await world.services.people.set_password(world.actor("tom"), world.id("tom"), "short")


@pytest.mark.parametrize("change", ["password", "second factor", "second factor removed", "deleted"])
async def test_what_makes_a_sign_in_worthless_ends_all_sessions_everywhere(world, change):
    who, people = world.id("tom"), world.services.people
    await world.store.sessions.add(SessionRecord("s", who, 0.0, 0.0, 1e12, two_factor_at=1.0))
    revision = await world.store.revision()
    await {
        "password": lambda: people.set_password(CONSOLE, who, "a new password"),
        "second factor": lambda: people.enrol_totp(CONSOLE, who),
        "second factor removed": lambda: people.remove_totp(CONSOLE, who),
        "deleted": lambda: people.delete(CONSOLE, who),
    }[change]()
    assert await world.store.sessions.find("s", 1.0) is None
    told = (await world.store.changes_since(revision)).changes
    assert Change(Kind.SESSION, ("person", who)) in told  # nodes remember sessions and hear of it


async def test_totp_from_the_console_is_active_at_once(world):
    enrolment = await world.services.people.enrol_totp(CONSOLE, world.id("tom"))
    assert (await world.store.credentials.active_totp(world.id("tom"))).secret == enrolment.secret
    assert pyotp.parse_uri(enrolment.url).secret == enrolment.secret
    assert enrolment.secret not in repr(enrolment)
    assert (await world.snapshot()).people.get(world.id("tom")).totp_active
    await world.services.people.remove_totp(CONSOLE, world.id("tom"))
    assert await world.store.credentials.active_totp(world.id("tom")) is None
    assert not (await world.snapshot()).people.get(world.id("tom")).totp_active


async def test_deleting_a_person_ends_everything_of_theirs(world):
    await world.services.grants.give(world.actor("ada"), world.id("tom"), world.wind.id, Job.OPERATOR)
    with pytest.raises(NotFound):
        await world.services.people.delete(world.actor("mod"), world.id("tom"))
    with pytest.raises(NotFound):
        await world.services.people.delete(world.actor("sam"), world.id("tom"))
    await world.services.people.delete(world.actor("ada"), world.id("tom"))
    snapshot = await world.snapshot()
    assert snapshot.people.get(world.id("tom")) is None
    assert not snapshot.grants_of(world.id("tom"))
    with pytest.raises(Conflict, match="only cloud operator"):
        await world.services.people.delete(CONSOLE, world.id("root"))


async def test_no_administrator_deletes_a_cloud_operator_who_is_a_member(world):
    await world.services.people.set_cloud_operator(CONSOLE, world.id("sue"), True)
    with pytest.raises(NotFound):
        await world.services.people.delete(world.actor("sam"), world.id("sue"))
    await world.services.people.delete(world.actor("root"), world.id("sue"))


@pytest.mark.parametrize("email", ["", "tom", "tom@", "@x", "a b@x", "a@b@c", "x" * 250 + "@y.de", "a\u202e@x"])
async def test_what_is_no_address_is_refused(world, email):
    with pytest.raises(InvalidInput):
        await world.services.people.create(CONSOLE, email, "Name")


async def test_an_address_is_known_in_any_case(world):
    with pytest.raises(Conflict, match="account with this e-mail"):
        await world.services.people.create(CONSOLE, "TOM@Example.com", "Name")
    for name in ("", " ", "x" * 101, "a\u200bb", "a\x07"):
        with pytest.raises(InvalidInput):
            await world.services.people.create(CONSOLE, "new@example.com", name)


async def test_passwords_that_are_made_are_long_enough_and_hashes_are_argon2():
    password = generate_password()
    assert check_password(password) == password
    assert password != generate_password()
    assert (await hash_password(password)).startswith("$argon2id$v=19$m=19456,t=2,p=1$")
