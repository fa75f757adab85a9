"""Accounts on every store: each secret works once, whoever else is asking, and nothing of it can be read back."""

import asyncio

import pytest
from sqlalchemy import text

from plantgate_hub.domain.accounts import AccountEvent, AccountRecord, ApiToken, Invitation
from plantgate_hub.domain.model import Job, OrganizationId, OrgRole, PersonId
from plantgate_hub.domain.scopes import TokenScope
from plantgate_hub.store.sql_accounts import HISTORY_SECONDS
from tests import worlds

ADA, ORG = PersonId("ada"), OrganizationId("org")
INVITATION = Invitation("i", ORG, "x@y.de", OrgRole.MEMBER, Job.VIEWER, "ada", 1.0, 100.0)
TOKEN = ApiToken("t", ADA, "script", frozenset({TokenScope.READ, TokenScope.VPN}), 1.0, 100.0)


@pytest.fixture
async def filled(store):
    async with store.change("test") as change:
        for entity in (worlds.organization("org"), worlds.person("ada"), worlds.person("bob")):
            change.put(entity)
    return store


async def add(store, *, invitation=INVITATION, token=TOKEN) -> None:
    async with store.change("test") as change:
        await change.accounts.add_invitation(invitation, f"hash of {invitation.id}")
        await change.accounts.add_token(token, f"hash of {token.id}")


async def test_invitations_and_tokens_come_back_as_they_were(filled, other):
    await add(filled)
    assert await other.accounts.invitation("hash of i") == INVITATION
    assert await other.accounts.invitations(ORG) == (INVITATION,)
    assert await other.accounts.token("hash of t") == TOKEN
    assert await other.accounts.tokens_of(ADA) == (TOKEN,)
    assert await other.accounts.invitation("i") is None
    assert await other.accounts.token("t") is None


async def test_they_are_no_change_of_the_snapshot(filled):
    revision = await filled.revision()
    await add(filled)
    assert await filled.revision() == revision


async def test_of_two_nodes_that_take_an_invitation_one_gets_it(filled, other):
    await add(filled)

    async def take(store) -> bool:
        async with store.change("test") as change:
            return await change.accounts.remove_invitation("i")

    assert sorted(await asyncio.gather(take(filled), take(other))) == [False, True]


async def test_of_two_nodes_that_take_a_reset_one_gets_it(filled, other):
    async with filled.change("test") as change:
        await change.accounts.add_reset("hash", ADA, 100.0)
        await change.accounts.add_reset("old", ADA, 10.0)

    async def take(store, hash="hash"):
        async with store.change("test") as change:
            return await change.accounts.take_reset(hash, 10.0)

    assert await other.accounts.reset("hash", 10.0) == ADA
    assert await other.accounts.reset("old", 10.0) is None
    assert await take(filled, "old") is None
    assert set(await asyncio.gather(take(filled), take(other))) == {ADA, None}


async def test_an_undone_change_leaves_the_link_usable(filled):
    async with filled.change("test") as change:
        await change.accounts.add_reset("hash", ADA, 100.0)

    async def take_and_fail() -> None:
        async with filled.change("test") as change:
            assert await change.accounts.take_reset("hash", 1.0) == ADA
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await take_and_fail()
    assert await filled.accounts.reset("hash", 1.0) == ADA


async def test_recovery_codes_are_kept_by_a_keyed_hash_and_used_once(filled, other):
    async with filled.change("test") as change:
        await change.accounts.set_recovery_codes(ADA, ["abcdefghjk", "mnpqrstuvw"])
        await change.accounts.set_recovery_codes(PersonId("bob"), ["abcdefghjk"])
    async with filled.read() as connection:
        rows = (await connection.execute(text("SELECT person, hash FROM recovery_codes"))).all()
    assert len({row.hash for row in rows}) == 3  # the same code of two people looks different
    assert all(len(row.hash) == 64 and "abc" not in row.hash for row in rows)
    async with other.change("test") as change:
        assert await change.accounts.use_recovery_code(ADA, "abcdefghjk") == 1
        assert await change.accounts.use_recovery_code(ADA, "abcdefghjk") is None
    assert await other.accounts.recovery_codes_left(ADA) == 1
    assert await other.accounts.recovery_codes_left(PersonId("bob")) == 1


async def test_a_tokens_last_use_only_moves_forward(filled):
    await add(filled)
    for at in (50.0, 20.0):
        await filled.accounts.token_used("t", at)
    assert (await filled.accounts.token("hash of t")).last_used == 50.0


async def test_a_person_takes_tokens_and_codes_along_but_not_the_history(filled):
    await add(filled)
    async with filled.change("test") as change:
        await change.accounts.set_recovery_codes(ADA, ["abcdefghjk"])
        await change.accounts.record(AccountRecord("r", 1.0, "x", AccountEvent.DELETED, ADA))
        change.remove(worlds.person("ada"))
    assert await filled.accounts.token("hash of t") is None
    assert await filled.accounts.recovery_codes_left(ADA) == 0
    assert [record.id for record in await filled.accounts.history(9, ADA)] == ["r"]


async def test_what_has_expired_is_swept(filled):
    await add(filled)
    async with filled.change("test") as change:
        await change.accounts.record(AccountRecord("r", 1.0, "x", AccountEvent.INVITED))
    await filled.accounts.sweep(99.0)
    assert await filled.accounts.invitations(ORG) == (INVITATION,)
    await filled.accounts.sweep(100.0)
    assert await filled.accounts.invitations(ORG) == ()
    assert await filled.accounts.tokens_of(ADA) == ()
    assert len(await filled.accounts.history(9)) == 1
    await filled.accounts.sweep(HISTORY_SECONDS + 2.0)
    assert await filled.accounts.history(9) == ()


async def test_the_history_is_read_newest_last_and_of_one_person(filled):
    async with filled.change("test") as change:
        for number, person in enumerate(("ada", "bob", "ada")):
            event = AccountEvent.PASSWORD_RESET
            await change.accounts.record(AccountRecord(str(number), float(number), "x", event, person))
    assert [record.id for record in await filled.accounts.history(2)] == ["1", "2"]
    assert [record.id for record in await filled.accounts.history(9, ADA)] == ["0", "2"]
    await filled.accounts.mark_seen(ADA)
    assert await filled.accounts.unseen(ADA) == ()
    assert [record.id for record in await filled.accounts.unseen(PersonId("bob"))] == ["1"]
