"""Kept answers: of two who take a key one gets it, and it is free again in time."""

import asyncio

import pytest

from plantgate_hub.domain.model import PersonId
from plantgate_hub.store import KeptAnswer
from plantgate_hub.store import answers as module
from tests import worlds

ADA, BOB = PersonId("ada"), PersonId("bob")


@pytest.fixture
async def filled(store):
    async with store.change("test") as change:
        change.put(worlds.person("ada"))
        change.put(worlds.person("bob"))
    return store


async def test_an_answer_is_kept_under_its_key_and_for_its_person(filled, other):
    assert await filled.answers.begin(ADA, "k", "print", 0, 100) is None
    assert await other.answers.begin(ADA, "k", "other print", 1, 101) == KeptAnswer("print", None)
    await filled.answers.finish(ADA, "k", "{}")
    assert await other.answers.begin(ADA, "k", "print", 2, 102) == KeptAnswer("print", "{}")
    assert await other.answers.begin(BOB, "k", "print", 2, 102) is None
    assert await other.answers.begin(ADA, "K", "print", 2, 102) is None


async def test_a_key_is_free_after_its_time_or_when_it_came_to_nothing(filled):
    await filled.answers.begin(ADA, "k", "print", 0, 100)
    await filled.answers.finish(ADA, "k", "{}")
    assert await filled.answers.begin(ADA, "k", "new", 99.9, 300) is not None
    assert await filled.answers.begin(ADA, "k", "new", 100, 300) is None
    await filled.answers.forget(ADA, "k")
    assert await filled.answers.begin(ADA, "k", "again", 101, 300) is None


async def test_of_many_at_once_one_gets_the_key(filled, other):
    taken = await asyncio.gather(
        *(store.answers.begin(ADA, "k", f"{n}", 0, 100) for n in range(8) for store in (filled, other))
    )
    assert taken.count(None) == 1
    assert len({kept.fingerprint for kept in taken if kept}) == 1


async def test_the_oldest_are_forgotten(filled, monkeypatch):
    monkeypatch.setattr(module, "MAX_PER_PERSON", 3)
    for number in range(5):
        assert await filled.answers.begin(ADA, f"k{number}", "print", 0, 100 + number) is None
    await filled.answers.begin(BOB, "k0", "print", 0, 100)
    kept = [await filled.answers.begin(ADA, f"k{number}", "print", 0, 100 + number) for number in (4, 3, 2)]
    assert kept == [KeptAnswer("print", None)] * 3
    assert await filled.answers.begin(ADA, "k0", "print", 0, 100) is None
    assert await filled.answers.begin(BOB, "k0", "print", 0, 100) is not None


async def test_they_go_with_their_person(filled):
    await filled.answers.begin(ADA, "k", "print", 0, 100)
    async with filled.change("test") as change:
        change.remove(worlds.person("ada"))
    async with filled.change("test") as change:
        change.put(worlds.person("ada"))
    assert await filled.answers.begin(ADA, "k", "new", 1, 100) is None
