"""The gateway's folder: one agent at a time, and another enrolment replaces the present one only when good."""

import os
import stat
from pathlib import Path

import pytest

from plantgate_agent.state import ENROLMENT_FILE, IDENTITY_FILE, Enrolment, HubUrl, StateDirectory
from plantgate_shared.errors import Conflict
from plantgate_shared.identity.handshake import PinnedHub


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    state = StateDirectory(tmp_path / "state", "nobody")
    state.prepare()
    return state


def enrolment(plant: str) -> Enrolment:
    return Enrolment(HubUrl("hub.example"), "agent", 1, plant, PinnedHub("hub", bytes(32)))


def test_one_agent_at_a_time(state: StateDirectory):
    lock = state.lock()
    with pytest.raises(Conflict, match="running already"):
        state.lock()
    assert os.get_inheritable(lock)  # for the host, which takes the command line's place
    os.close(lock)
    os.close(state.lock())


def test_another_enrolment_costs_nothing_until_it_is_good(state: StateDirectory):
    present = state.identity().public
    state.wireguard()
    state.save(enrolment("north"))
    fresh = state.successor()
    fresh.prepare()
    wanted = fresh.identity().public
    fresh.wireguard()
    assert state.successor().identity().public == wanted  # a command that is repeated asks as the same gateway
    assert (state.identity().public, state.enrolment().plant_name) == (present, "north")

    fresh.save(enrolment("south"))
    state.take_over(fresh)
    assert (state.identity().public, state.enrolment().plant_name) == (wanted, "south")
    assert not fresh.path.exists()
    for name in (IDENTITY_FILE, ENROLMENT_FILE):
        assert stat.S_IMODE((state.path / name).stat().st_mode) == 0o600
