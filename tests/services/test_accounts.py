"""Ways back into an account, resets by others, API tokens: what each may do, and what nobody may."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from plantgate_hub.domain.accounts import DAY, RESET_SECONDS, AccountEvent
from plantgate_hub.domain.model import OrgRole
from plantgate_hub.domain.scopes import TokenScope
from plantgate_hub.mail import Letter, MailNotSent, Outbox
from plantgate_hub.services import CONSOLE, Services
from plantgate_hub.services.secrets import LinkVoid
from plantgate_hub.store import SessionRecord
from plantgate_shared.errors import Conflict, Denied, InvalidInput, NotFound
from tests.services.conftest import changed
from tests.services.test_invitations import secret_of

NEW = "a brand new password"


@dataclass
class MemoryMailer:
    letters: list[Letter] = field(default_factory=list)
    broken: bool = False

    async def send(self, letter: Letter) -> None:
        if self.broken:
            raise MailNotSent("broken")
        self.letters.append(letter)


@pytest.fixture
def mailer(world) -> MemoryMailer:
    """From here on the hub sends mail."""
    mailer = MemoryMailer()
    world.services = Services(changed(world.services.context, outbox=Outbox(mailer)))
    return mailer


async def mails(world, mailer) -> list[Letter]:
    await world.services.context.outbox.flush()
    return mailer.letters


# Reset links


async def reset_secret(world, name="tom") -> str:
    return secret_of((await world.services.recovery.reset_link(CONSOLE, world.id(name))).link)


async def test_a_reset_link_sets_a_password_once_and_ends_sessions_and_tokens(world):
    secret, other = await reset_secret(world), await reset_secret(world)
    tom = world.id("tom")
    await world.services.tokens.create(world.actor("tom"), tom, "report", [TokenScope.READ], 86400.0)
    await world.store.sessions.add(SessionRecord("s", world.id("tom"), 0.0, 0.0, 1e12))
    await world.services.recovery.check_link(secret)
    person = await world.services.recovery.reset_password(secret, NEW)
    assert person.id == world.id("tom")
    assert (await world.store.credentials.password_of("tom@example.com")).password_hash == f"hashed {NEW}"
    assert await world.store.sessions.find("s", 1.0) is None
    assert await world.store.accounts.tokens_of(tom) == ()
    for used in (secret, other):
        with pytest.raises(LinkVoid):
            await world.services.recovery.reset_password(used, "yet another password")
    assert (await world.store.accounts.unseen(person.id))[-1].event is AccountEvent.PASSWORD_RESET


async def test_a_reset_does_not_touch_the_second_factor(world):
    await world.services.people.enrol_totp(CONSOLE, world.id("tom"))
    before = await world.store.credentials.active_totp(world.id("tom"))
    await world.services.recovery.reset_password(await reset_secret(world), NEW)
    assert await world.store.credentials.active_totp(world.id("tom")) == before
    assert (await world.snapshot()).people.get(world.id("tom")).totp_active


@pytest.mark.parametrize("end", ["expired", "unknown", "invitation", "person gone", "password set since"])
async def test_a_dead_reset_link_changes_nothing(world, end):
    secret = await reset_secret(world)
    if end == "expired":
        world.clock.now += RESET_SECONDS
    elif end == "unknown":
        secret = "x" * 43
    elif end == "invitation":
        made = await world.services.invitations.create(world.actor("ada"), world.north.id, "tom@elsewhere.com")
        secret = secret_of(made.link)
    elif end == "person gone":
        await world.services.people.delete(CONSOLE, world.id("tom"))
    else:
        await world.services.people.set_password(CONSOLE, world.id("tom"), "an older password")
    revision = await world.store.revision()
    with pytest.raises(LinkVoid):
        await world.services.recovery.reset_password(secret, NEW)
    assert await world.store.revision() == revision


async def test_a_short_password_does_not_use_the_link_up(world):
    secret = await reset_secret(world)
    with pytest.raises(InvalidInput, match="shorter than 12"):
        await world.services.recovery.reset_password(secret, "short")
    await world.services.recovery.reset_password(secret, NEW)


async def test_of_two_who_use_a_reset_link_at_once_one_sets_the_password(world):
    secret, done = await reset_secret(world), []

    async def reset(password: str) -> None:
        with suppress(LinkVoid):
            await world.services.recovery.reset_password(secret, password)
            done.append(password)

    await asyncio.gather(reset("the first password"), reset("the second password"))
    assert len(done) == 1
    record = await world.store.credentials.password_of("tom@example.com")
    assert record.password_hash == f"hashed {done[0]}"


async def test_only_the_console_makes_reset_links_for_others(world):
    for name in ("ada", "root", "tom"):
        with pytest.raises(NotFound):
            await world.services.recovery.reset_link(world.actor(name), world.id("tom"))


async def test_a_reset_is_mailed_to_its_person_and_to_nobody_else(world, mailer):
    for email in ("nobody@example.com", "not an address", "TOM@example.com "):
        world.services.recovery.request_reset(email)
    (letter,) = await mails(world, mailer)
    assert letter.to == "tom@example.com"
    link = next(line for line in letter.text.splitlines() if line.startswith("https://"))
    assert link.startswith("https://portal.localhost/reset/password?code=")
    await world.services.recovery.reset_password(secret_of(link), NEW)
    assert "password of your Plantgate account was changed" in (await mails(world, mailer))[-1].text
    assert link not in repr(letter)


async def test_without_mail_a_request_makes_no_link(world):
    world.services.recovery.request_reset("tom@example.com")
    await world.services.context.outbox.flush()
    assert await world.store.accounts.history(9, world.id("tom")) == ()


async def test_where_mail_is_sent_the_inviter_does_not_see_the_link(world, mailer):
    made = await world.services.invitations.create(world.actor("ada"), world.north.id, "new@example.com")
    assert made.link == ""
    (letter,) = await mails(world, mailer)
    assert (letter.to, "North" in letter.subject) == ("new@example.com", True)
    link = next(line for line in letter.text.splitlines() if line.startswith("https://"))
    assert (await world.services.invitations.offer(secret_of(link))).invitation == made.invitation
    console = await world.services.invitations.create(CONSOLE, world.north.id, "other@example.com")
    assert console.link


async def test_a_mail_server_that_is_down_keeps_nothing_from_working(world, mailer):
    mailer.broken = True
    await world.services.invitations.create(world.actor("ada"), world.north.id, "new@example.com")
    await world.services.context.outbox.flush()
    assert len(await world.services.invitations.open(world.actor("ada"), world.north.id)) == 1


# Recovery codes


async def with_codes(world, name="tom") -> tuple[str, ...]:
    await world.services.people.enrol_totp(CONSOLE, world.id(name))
    return await world.services.recovery.make_codes(world.actor(name), world.id(name))


async def test_a_recovery_code_works_once_however_it_is_typed(world, mailer):
    codes = await with_codes(world)
    assert len(set(codes)) == 10
    use, tom = world.services.recovery.use_code, world.id("tom")
    assert await use(tom, f" {codes[0].upper().replace('-', ' ')} ")
    assert not await use(tom, codes[0])
    assert not await use(world.id("mod"), codes[1])
    assert not await use(tom, "")
    assert not await use(tom, "aaaaa-aaaaa")
    assert await world.store.accounts.recovery_codes_left(tom) == 9
    told = await world.store.accounts.unseen(tom)
    assert (told[-1].event, told[-1].detail) == (AccountEvent.RECOVERY_CODE_USED, "9 left")
    assert "9 are left" in (await mails(world, mailer))[-1].text


async def test_of_two_who_use_a_recovery_code_at_once_one_gets_in(world):
    code, *_ = await with_codes(world)
    use = world.services.recovery.use_code
    assert sorted(await asyncio.gather(use(world.id("tom"), code), use(world.id("tom"), code))) == [False, True]


async def test_new_recovery_codes_end_the_old_ones(world):
    old = await with_codes(world)
    new = await world.services.recovery.make_codes(world.actor("tom"), world.id("tom"))
    assert not await world.services.recovery.use_code(world.id("tom"), old[0])
    assert await world.services.recovery.use_code(world.id("tom"), new[0])


async def test_recovery_codes_are_ones_own_and_need_a_second_factor(world):
    with pytest.raises(InvalidInput, match="no second factor"):
        await world.services.recovery.make_codes(world.actor("tom"), world.id("tom"))
    await world.services.people.enrol_totp(CONSOLE, world.id("tom"))
    for name in ("ada", "root"):
        with pytest.raises(NotFound):
            await world.services.recovery.make_codes(world.actor(name), world.id("tom"))


# Reset of the second factor by others


async def test_a_second_factor_is_reset_from_above_and_its_person_is_told(world, mailer):
    code, *_ = await with_codes(world)
    await world.store.sessions.add(SessionRecord("s", world.id("tom"), 0.0, 0.0, 1e12, two_factor_at=1.0))
    await world.services.people.remove_totp(world.actor("mod"), world.id("tom"))
    assert not (await world.snapshot()).people.get(world.id("tom")).totp_active
    assert await world.store.credentials.active_totp(world.id("tom")) is None
    assert await world.store.sessions.find("s", 1.0) is None
    assert not await world.services.recovery.use_code(world.id("tom"), code)
    (told,) = await world.store.accounts.unseen(world.id("tom"))
    assert (told.event, told.actor, told.detail) == (
        AccountEvent.SECOND_FACTOR_RESET,
        f"person {world.id('mod')}",
        "Mod",
    )
    letter = (await mails(world, mailer))[-1]
    assert (letter.to, "Mod reset the second factor" in letter.text) == ("tom@example.com", True)
    await world.store.accounts.mark_seen(world.id("tom"))
    assert await world.store.accounts.unseen(world.id("tom")) == ()
    assert (await world.store.accounts.history(1, world.id("tom")))[0].event is AccountEvent.SECOND_FACTOR_RESET


@pytest.mark.parametrize(
    ("by", "of"), [("mod", "ada"), ("mod", "mod"), ("ada", "ada"), ("tom", "mod"), ("tom", "tom"), ("root", "root")]
)
async def test_nobody_resets_an_equal_or_higher_role(world, by, of):
    await world.services.people.enrol_totp(CONSOLE, world.id(of))
    before = await world.store.credentials.active_totp(world.id(of))
    with pytest.raises(Denied, match="higher role"):
        await world.services.people.remove_totp(world.actor(by), world.id(of))
    assert await world.store.credentials.active_totp(world.id(of)) == before


async def test_strangers_are_not_told_that_a_person_exists(world):
    with pytest.raises(NotFound):
        await world.services.people.remove_totp(world.actor("sam"), world.id("tom"))


@pytest.mark.parametrize("role", list(OrgRole))
async def test_a_low_organization_takes_nobody_over_who_is_high_elsewhere(world, role):
    """Sue, whom South's Administrator stands above, is somebody in North as well."""
    await world.services.organizations.set_member(CONSOLE, world.north.id, world.id("sue"), role)
    with pytest.raises(Denied):
        await world.services.people.remove_totp(world.actor("sam"), world.id("sue"))
    await world.services.people.remove_totp(world.actor("root"), world.id("sue"))


async def test_administrators_are_reset_by_a_cloud_operator_only(world):
    await world.services.people.remove_totp(world.actor("root"), world.id("ada"))
    await world.services.people.set_cloud_operator(CONSOLE, world.id("tom"), True)
    with pytest.raises(Denied):  # a cloud operator, though a mere member in North
        await world.services.people.remove_totp(world.actor("ada"), world.id("tom"))


# API tokens


async def make_token(world, name="script", scopes=(TokenScope.READ,), valid_for=DAY):
    return await world.services.tokens.create(world.actor("tom"), world.id("tom"), name, scopes, valid_for)


async def test_a_token_is_shown_once_listed_and_revoked(world):
    made = await make_token(world, scopes=[TokenScope.VPN, TokenScope.READ])
    assert made.secret.startswith("pgt_")
    assert len(made.secret) >= 47  # 256 bits behind the prefix
    assert made.secret not in repr(made)
    tokens, tom = world.services.tokens, world.id("tom")
    assert await tokens.of_person(world.actor("tom"), tom) == (made.token,)
    assert made.token.scopes == {TokenScope.VPN, TokenScope.READ}
    await tokens.revoke(world.actor("tom"), tom, made.token.id)
    assert await tokens.of_person(world.actor("tom"), tom) == ()
    with pytest.raises(NotFound, match="no such token"):
        await tokens.revoke(world.actor("tom"), tom, made.token.id)
    events = [record.event for record in await world.store.accounts.history(9, tom)]
    assert events == [AccountEvent.TOKEN_MADE, AccountEvent.TOKEN_REVOKED]


async def test_tokens_are_ones_own(world):
    made, tokens = await make_token(world), world.services.tokens
    for name in ("ada", "root"):
        for attempt in (
            tokens.create(world.actor(name), world.id("tom"), "x", [TokenScope.READ]),
            tokens.of_person(world.actor(name), world.id("tom")),
            tokens.revoke(world.actor(name), world.id("tom"), made.token.id),
            tokens.revoke(world.actor(name), world.id(name), made.token.id),
        ):
            with pytest.raises(NotFound):
                await attempt


async def test_what_a_token_cannot_be(world):
    for name, scopes, valid_for in (
        ("", [TokenScope.READ], DAY),
        ("x", [], DAY),
        ("x", [TokenScope.READ], 367 * DAY),
        ("x", [TokenScope.READ], 0),
    ):
        with pytest.raises(InvalidInput):
            await make_token(world, name, scopes, valid_for)
    await make_token(world, "twice")
    with pytest.raises(Conflict, match="'twice' already"):
        await make_token(world, "twice")
    world.clock.now += DAY
    await make_token(world, "twice")  # the first has expired
