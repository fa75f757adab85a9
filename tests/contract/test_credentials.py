"""What every store keeps beside the snapshot: each secret works once, whoever else is asking at the same moment."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import text

from plantgate_hub.domain.accounts import AccountEvent
from plantgate_hub.domain.model import AgentId, PersonId, PlantId
from plantgate_hub.domain.snapshot import Change, Kind
from plantgate_hub.store import (
    AesSealer,
    EnrolmentCode,
    OneTimeCode,
    PasswordRecord,
    SessionRecord,
    TotpRecord,
    open_store,
)
from plantgate_shared.errors import ConfigError, Conflict
from plantgate_shared.secret import Secret
from tests import worlds

ADA = PersonId("ada")
SECRET = "JBSWY3DPEHPK3PXP"


@pytest.fixture
async def filled(store):
    async with store.change("test") as change:
        for row in (
            worlds.organization("north"),
            worlds.plant("wind", "north"),
            worlds.person("ada"),
            worlds.person("bob"),
        ):
            change.put(row)
    return store


async def test_passwords(filled):
    assert await filled.credentials.password_of("nobody@example.com") is None
    assert await filled.credentials.password_of("ada@example.com") == PasswordRecord(ADA, "")
    async with filled.change("test") as change:
        await change.set_password_hash(ADA, "one")
    assert await filled.credentials.password_of("ada@example.com") == PasswordRecord(ADA, "one")
    await filled.credentials.replace_password_hash(ADA, "two", instead_of="one")
    assert await filled.credentials.password_of("ada@example.com") == PasswordRecord(ADA, "two")
    await filled.credentials.replace_password_hash(ADA, "three", instead_of="one")  # set anew since it was read
    assert await filled.credentials.password_of("ada@example.com") == PasswordRecord(ADA, "two")


async def test_credentials_of_a_person_made_in_the_same_change(filled):
    async with filled.change("test") as change:
        change.put(worlds.person("new"))
        await change.set_password_hash(PersonId("new"), "hash")
    assert (await filled.credentials.password_of("new@example.com")).password_hash == "hash"


async def test_totp_is_activated_once_and_shows_in_the_snapshot(filled, other):
    results = await asyncio.gather(
        filled.credentials.activate_totp(ADA, SECRET, 5), other.credentials.activate_totp(ADA, "OTHER", 6)
    )
    assert sorted(results) == [False, True]
    record = await filled.credentials.active_totp(ADA)
    assert record in (TotpRecord(SECRET, 5), TotpRecord("OTHER", 6))
    assert (await filled.load_snapshot()).people.get("ada").totp_active


async def test_a_totp_step_is_used_once(filled, other):
    assert not await filled.credentials.use_totp_step(ADA, 9)
    await filled.credentials.activate_totp(ADA, SECRET, 5)
    assert not await filled.credentials.use_totp_step(ADA, 5)
    nodes = [filled, other] * 4
    used = await asyncio.gather(*(node.credentials.use_totp_step(ADA, 6) for node in nodes))
    assert used.count(True) == 1
    assert not await filled.credentials.use_totp_step(ADA, 4)
    assert await filled.credentials.use_totp_step(ADA, 8)


async def test_a_second_factor_is_replaced_only_while_there_is_one(filled, other):
    assert not await filled.credentials.replace_totp(ADA, SECRET, 5)
    assert await filled.credentials.active_totp(ADA) is None
    await filled.credentials.activate_totp(ADA, SECRET, 5)
    assert await other.credentials.replace_totp(ADA, "OTHER", 6)
    assert await filled.credentials.active_totp(ADA) == TotpRecord("OTHER", 6)
    events = [record.event for record in await other.accounts.history(9, ADA)]
    assert events == [AccountEvent.SECOND_FACTOR_SET_UP] * 2


async def test_secrets_are_not_readable_in_the_database(filled, database):
    await filled.credentials.activate_totp(ADA, SECRET, 5)
    async with filled.change("test") as change:
        await change.add_enrolment_code(_enrolment("code"))
    async with filled.engine.connect() as connection:
        stored = [
            bytes((await connection.execute(text(query))).scalar_one())
            for query in ("SELECT totp_secret FROM credentials", "SELECT mac_key FROM enrolment_codes")
        ]
    assert SECRET.encode() not in stored[0]
    assert b"m" * 32 not in stored[1]
    wrong_key = await open_store(database, AesSealer(Secret(b"x" * 32)))
    with pytest.raises(ConfigError, match="vault key"):
        await wrong_key.credentials.active_totp(ADA)
    await wrong_key.close()


def test_records_do_not_show_their_secrets():
    shown = repr([TotpRecord(SECRET, 1), PasswordRecord(ADA, "hash"), _enrolment("x")])
    assert SECRET not in shown
    assert "hash=" not in shown
    assert "mmmm" not in shown


def _enrolment(lookup: str) -> EnrolmentCode:
    return EnrolmentCode(lookup, b"m" * 32, PlantId("wind"), "gateway", 0.0, 100.0)


async def test_an_enrolment_code_is_used_once(filled, other):
    async with filled.change("test") as change:
        await change.add_enrolment_code(_enrolment("code"))
    assert await other.enrolment_code("code") == _enrolment("code")
    assert await other.enrolment_code("other") is None

    async def use(node, name):
        async with node.change("enrolment") as change:
            code = await change.use_enrolment_code("code", AgentId("agent-wind"), 50.0)
            if code is not None:
                change.put(worlds.agent("wind"))
            return code

    used = await asyncio.gather(*(use(node, name) for name, node in enumerate([filled, other] * 3)))
    assert [code for code in used if code] == [replace(_enrolment("code"), used_at=50.0, agent="agent-wind")]
    assert (await other.enrolment_code("code")).used_at == 50.0


async def test_an_enrolment_code_expires_and_stays_unused_when_enrolment_fails(filled):
    async with filled.change("test") as change:
        await change.add_enrolment_code(_enrolment("code"))
        assert await change.use_enrolment_code("code", AgentId("agent-wind"), 100.0) is None

    async def fail():
        async with filled.change("test") as change:
            assert await change.use_enrolment_code("code", AgentId("agent-wind"), 50.0)
            raise Conflict("no")

    with pytest.raises(Conflict):
        await fail()
    assert (await filled.enrolment_code("code")).used_at is None


async def test_only_enrolment_codes_that_still_open_something_are_listed_and_one_removed_opens_nothing(filled):
    async with filled.change("test") as change:
        for lookup in ("used", "open"):
            await change.add_enrolment_code(_enrolment(lookup))
        assert await change.use_enrolment_code("used", AgentId("agent-wind"), 50.0)
        assert await change.open_enrolment_codes(PlantId("wind"), 60.0) == (_enrolment("open"),)
        assert await change.open_enrolment_codes(PlantId("wind"), 100.0) == ()
        await change.remove_enrolment_code("open")
        assert await change.use_enrolment_code("open", AgentId("agent-wind"), 60.0) is None


async def test_a_one_time_code_has_one_consumer(filled, other):
    for number in range(5):
        code = OneTimeCode(f"hash{number}", "hand-over", ADA, 100.0, "host", "session", "state")
        await filled.codes.add(code)
        got = await asyncio.gather(*(node.codes.consume(code.hash, 50.0) for node in [filled, other] * 3))
        assert [c for c in got if c] == [code]
        assert await filled.codes.consume(code.hash, 50.0) is None


async def test_a_one_time_code_expires(filled):
    for name in ("a", "b"):
        await filled.codes.add(OneTimeCode(name, "p", ADA, 100.0))
    assert await filled.codes.consume("a", 100.0) is None
    assert await filled.codes.consume("a", 1.0) is None
    assert await filled.codes.sweep(100.0) == 1


def _session(id: str, person: PersonId = ADA, parent: str = "") -> SessionRecord:
    return SessionRecord(id, person, 1.0, 1.0, 100.0, parent=parent)


async def test_sessions(filled):
    await filled.sessions.add(_session("one"))
    assert await filled.sessions.find("one", 99.0) == _session("one")
    assert await filled.sessions.find("one", 100.0) is None
    assert await filled.sessions.touch("one", 7.0)
    assert await filled.sessions.touch("one", 5.0)
    assert await filled.sessions.pass_two_factor("one", 8.0)
    assert await filled.sessions.find("one", 9.0) == replace(_session("one"), last_seen=7.0, two_factor_at=8.0)
    assert await filled.sessions.prove("one", 9.0)
    assert await filled.sessions.find("one", 9.0) == replace(
        _session("one"), last_seen=7.0, two_factor_at=8.0, proved_at=9.0
    )
    assert not await filled.sessions.touch("two", 7.0)
    assert not await filled.sessions.prove("two", 7.0)
    assert await filled.sessions.sweep(100.0) == 1
    assert await filled.sessions.of_person(ADA, 0.0) == ()


async def test_a_session_ends_with_its_children_and_nodes_hear_of_it(filled, other):
    for session in (_session("one"), _session("child", parent="one"), _session("two")):
        await filled.sessions.add(session)
    before = await other.revision()
    await filled.sessions.end("one")
    assert set((await other.changes_since(before)).changes) == {
        Change(Kind.SESSION, ("one",)),
        Change(Kind.SESSION, ("child",)),
    }
    assert await other.sessions.of_person(ADA, 0.0) == (_session("two"),)
    await filled.sessions.end("nothing")
    assert await other.revision() == before + 1


async def test_all_sessions_and_codes_of_a_person_end(filled, other):
    await filled.sessions.add(_session("one"))
    await filled.sessions.add(_session("bobs", PersonId("bob")))
    await filled.codes.add(OneTimeCode("code", "p", ADA, 100.0))
    before = await other.revision()
    async with filled.change("test") as change:
        await change.end_sessions(ADA)
    changes = (await other.changes_since(before)).changes
    assert set(changes) == {Change(Kind.SESSION, ("one",)), Change(Kind.SESSION, ("person", "ada"))}
    assert await other.codes.consume("code", 1.0) is None
    assert await other.sessions.find("bobs", 1.0) is not None


async def test_a_person_takes_credentials_sessions_and_codes_along(filled):
    await filled.sessions.add(_session("one"))
    await filled.codes.add(OneTimeCode("code", "p", ADA, 100.0))
    async with filled.change("test") as change:
        await change.set_password_hash(ADA, "hash")
        change.remove(worlds.person("ada"))
    assert await filled.sessions.find("one", 1.0) is None
    assert await filled.codes.consume("code", 1.0) is None
