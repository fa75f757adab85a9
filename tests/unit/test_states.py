"""The stream's state machine: its table is complete, consistent, and the one that the documentation shows."""

from pathlib import Path

import pytest

from plantgate_shared.protocol.diagram import render
from plantgate_shared.protocol.states import (
    MAY_RECEIVE_DATA,
    MAY_SEND_DATA,
    STREAM_TRANSITIONS,
    StreamEvent,
    StreamState,
)

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"
MIRROR = {
    StreamState.OPENING: StreamState.OFFERED,
    StreamState.OFFERED: StreamState.OPENING,
    StreamState.HALF_CLOSED_LOCAL: StreamState.HALF_CLOSED_REMOTE,
    StreamState.HALF_CLOSED_REMOTE: StreamState.HALF_CLOSED_LOCAL,
}


def test_every_state_has_a_row():
    assert set(STREAM_TRANSITIONS) == set(StreamState)


@pytest.mark.parametrize("event", StreamEvent)
def test_both_ends_follow_the_same_rules(event):
    """What one side may send in a state, the other must take in the mirrored state."""
    if not event.startswith("send"):
        return
    received = StreamEvent(event.replace("send", "recv"))
    for state, row in STREAM_TRANSITIONS.items():
        if event in row:
            mirrored = STREAM_TRANSITIONS[MIRROR.get(state, state)]
            assert mirrored[received] is MIRROR.get(row[event], row[event])


def test_every_state_can_be_reached_and_left():
    reached = {target for row in STREAM_TRANSITIONS.values() for target in row.values()}
    assert reached | {StreamState.IDLE} == set(StreamState)
    for state in set(StreamState) - {StreamState.IDLE, StreamState.CLOSED}:
        assert STREAM_TRANSITIONS[state][StreamEvent.SEND_RESET] is StreamState.CLOSED
        assert STREAM_TRANSITIONS[state][StreamEvent.RECV_RESET] is StreamState.CLOSED


def test_nothing_leaves_closed():
    assert set(STREAM_TRANSITIONS[StreamState.CLOSED].values()) == {StreamState.CLOSED}
    assert not any(event.startswith("send") for event in STREAM_TRANSITIONS[StreamState.CLOSED])


def test_data_flows_in_these_states_only():
    assert {StreamState.OPEN, StreamState.HALF_CLOSED_REMOTE} == MAY_SEND_DATA
    assert {StreamState.OPEN, StreamState.HALF_CLOSED_LOCAL} == MAY_RECEIVE_DATA


def test_the_documentation_shows_this_table():
    page = PAGE.read_text(encoding="utf-8")
    assert page == render(page), "run: python -m plantgate_shared.protocol.diagram docs/protocol.md"


def test_a_page_without_marks_is_named():
    with pytest.raises(ValueError, match="must have the marks"):
        render("# no marks here")
