"""Sessions: what lives, what ends, and what ends with it."""

import pytest

from plantgate_hub.domain.model import PersonId
from plantgate_hub.identity import sessions
from plantgate_hub.identity.sessions import SessionBook, SessionPolicy, session_id

OLGA = PersonId("olga")
POLICY = SessionPolicy(idle=100, absolute=1000, two_factor_fresh=50)


@pytest.fixture
def ended() -> list[str]:
    return []


@pytest.fixture
def book(ended: list[str]) -> SessionBook:
    return SessionBook(POLICY, on_end=ended.extend)


def test_a_token_is_found_on_its_own_host_only(book: SessionBook):
    portal = book.open(OLGA, "p", 0)
    device = book.open_child(portal, "inverter", "d")
    assert book.find("p", "", 1) == portal
    assert book.find("d", "inverter", 1) == device
    assert book.find("p", "inverter", 1) is book.find("d", "", 1) is book.find("d", "logger", 1) is None
    assert book.find("", "", 1) is None


def test_the_token_itself_is_not_kept(book: SessionBook):
    assert book.open(OLGA, "token", 0).id == session_id("token") != "token"
    assert "token" not in repr(vars(book))


def test_idle_and_absolute_time_outs(book: SessionBook):
    book.open(OLGA, "idle", 0)
    assert book.find("idle", "", 99)
    assert book.find("idle", "", 99 + 99)
    assert not book.find("idle", "", 99 + 99 + 100)
    book.open(OLGA, "busy", 0)
    assert all(book.find("busy", "", at) for at in range(0, 1000, 50))
    assert not book.find("busy", "", 1000)


def test_using_a_child_keeps_the_parent_awake(book: SessionBook):
    book.open_child(book.open(OLGA, "p", 0), "inverter", "d")
    assert book.find("d", "inverter", 99)
    assert book.find("p", "", 150)


def test_a_parent_ends_with_its_children_and_says_so(book: SessionBook, ended: list[str]):
    portal = book.open(OLGA, "p", 0)
    book.open_child(portal, "inverter", "d")
    book.end(portal.id)
    assert not book.find("d", "inverter", 1)
    assert set(ended) == {session_id("p"), session_id("d")}
    assert len(book) == 0
    book.end(portal.id)  # again: nothing


def test_a_child_ends_alone(book: SessionBook):
    portal = book.open(OLGA, "p", 0)
    book.end(book.open_child(portal, "inverter", "d").id)
    assert book.find("p", "", 1)
    assert not book.find("d", "inverter", 1)


def test_rotation_makes_the_old_token_worthless_and_keeps_the_sign_in_time(book: SessionBook):
    new = book.rotate(book.open(OLGA, "old", 10), "new", 20, two_factor_at=20)
    assert not book.find("old", "", 21)
    assert book.find("new", "", 21) == new
    assert (new.created, new.two_factor_at) == (10, 20)


def test_passing_the_second_factor_again_keeps_open_pages(book: SessionBook, ended: list[str]):
    portal = book.rotate(book.open(OLGA, "o", 0), "p", 0, two_factor_at=0)
    book.open_child(portal, "inverter", "d")
    ended.clear()
    refreshed = book.refresh(portal, 60)
    assert refreshed
    assert refreshed.two_factor_at == 60
    assert book.find("d", "inverter", 61)
    assert not ended


def test_a_session_that_has_ended_is_not_woken_by_a_code(book: SessionBook):
    portal = book.rotate(book.open(OLGA, "o", 0), "p", 0, two_factor_at=0)
    book.end(portal.id)
    assert book.refresh(portal, 60) is None
    assert len(book) == 0


def test_a_session_of_an_earlier_run_is_taken_up(book: SessionBook):
    earlier = SessionBook(POLICY)
    portal = earlier.open(OLGA, "p", 0)
    child = earlier.open_child(portal, "inverter", "d")
    book.adopt(portal, 50)
    book.adopt(child, 50)
    assert book.find("d", "inverter", 149) == child
    assert not book.find("p", "", 149 + 100)


def test_ending_all_sessions(book: SessionBook, ended: list[str]):
    book.open_child(book.open(OLGA, "p", 0), "inverter", "d")
    book.open(PersonId("tom"), "t", 0)
    book.end_all()
    assert len(ended) == 3
    assert len(book) == 0


def test_all_of_a_person_but_one(book: SessionBook):
    kept = book.open(OLGA, "a", 0)
    book.open(OLGA, "b", 0)
    book.open(PersonId("tom"), "c", 0)
    book.end_person(OLGA, keep=kept.id)
    assert book.find("a", "", 1)
    assert not book.find("b", "", 1)
    assert book.find("c", "", 1)


def test_sweeping_forgets_what_ran_out(book: SessionBook, ended: list[str]):
    book.open_child(book.open(OLGA, "p", 0), "inverter", "d")
    book.sweep(99)
    assert not ended
    book.sweep(100)
    assert len(ended) == 2
    assert not any(vars(book)[name] for name in ("_sessions", "_last_seen", "_children", "_by_person"))


def test_sessions_of_one_person_are_bounded(book: SessionBook):
    for number in range(sessions.MAX_PER_PERSON + 5):
        portal = book.open(OLGA, f"p{number}", 0)
    assert not book.find("p0", "", 1)
    for number in range(sessions.MAX_CHILDREN + 5):
        book.open_child(portal, "inverter", f"d{number}")
    assert not book.find("d0", "inverter", 1)
    assert len(book) == sessions.MAX_PER_PERSON + sessions.MAX_CHILDREN


def test_freshness_of_the_second_factor(book: SessionBook):
    session = book.open(OLGA, "p", 0)
    assert not sessions.two_factor_is_fresh(session, 1, POLICY)
    session = book.rotate(session, "q", 1, two_factor_at=1)
    assert sessions.two_factor_is_fresh(session, 50, POLICY)
    assert not sessions.two_factor_is_fresh(session, 51, POLICY)


def test_a_proof_is_fresh_for_a_while_and_kept_through_rotation(book: SessionBook):
    session = book.open(OLGA, "p", 0)
    assert sessions.proof_is_fresh(session, 599, POLICY)
    assert not sessions.proof_is_fresh(session, 600, POLICY)
    proved = book.prove(session, 700)
    assert proved
    assert proved == book.get(session.id)
    rotated = book.rotate(proved, "new", 701, 701)
    assert sessions.proof_is_fresh(rotated, 1299, POLICY)
    assert book.prove(session, 800) is None  # it has ended meanwhile
    child = book.open_child(rotated, "inverter", "d")
    assert not sessions.proof_is_fresh(child, 701, POLICY)
