"""The supervisor's decisions, on a clock of the test's own."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantgate_agent import host
from plantgate_agent.host import CLEAN_UP, EXIT, KILL, START, TERMINATE, Supervision


def started(now: float = 0.0) -> Supervision:
    supervision = Supervision(now)
    assert supervision.poll(now) == [START]
    supervision.started(now)
    return supervision


def beating(supervision: Supervision, start: float, end: float) -> float:
    now = start
    while now < end:
        supervision.beat(now)
        assert supervision.poll(now) == []
        now += 1.0
    return now


def test_it_starts_a_worker_and_leaves_a_living_one_alone():
    supervision = started()
    assert not supervision.ready
    beating(supervision, 1.0, 200.0)
    assert supervision.ready


def test_a_worker_that_never_lives_is_killed():
    supervision = started()
    assert supervision.poll(host.START_WITHIN - 0.1) == []
    assert supervision.poll(host.START_WITHIN + 0.1) == [KILL]


def test_a_silent_worker_is_killed_within_the_bound_and_replaced():
    supervision = started()
    last = beating(supervision, 1.0, 20.0) - 1.0
    assert supervision.poll(last + host.SILENT_FOR - 0.1) == []
    assert supervision.poll(last + host.SILENT_FOR) == [KILL]
    supervision.exited(137, last + host.SILENT_FOR)
    assert supervision.poll(supervision.deadline) == [START]
    assert supervision.deadline - last < 6.0


def test_a_host_that_stood_still_itself_gives_the_worker_another_chance():
    supervision = started()
    last = beating(supervision, 1.0, 20.0) - 1.0
    assert supervision.poll(last + 3600) == []
    assert supervision.poll(last + 3600 + host.SILENT_FOR) == [KILL]


def test_crashes_in_a_row_wait_longer_and_a_stable_worker_starts_anew():
    supervision, now, waits = started(), 0.0, []
    for _ in range(8):
        supervision.exited(1, now)
        waits.append(supervision.deadline - now)
        now = supervision.deadline
        assert supervision.poll(now) == [START]
        supervision.started(now)
    assert waits == sorted(waits)
    assert waits[0] < 1
    assert waits[-1] == pytest.approx(host.RESTART_AFTER[-1])
    now = beating(supervision, now + 1, now + host.STABLE_AFTER + 5)
    supervision.exited(1, now)
    assert supervision.deadline - now == pytest.approx(host.RESTART_AFTER[0])


def test_a_configuration_error_ends_the_host_with_the_same_status():
    supervision = started()
    supervision.exited(host.EX_CONFIG, 1.0)
    assert supervision.poll(1.0) == [CLEAN_UP, EXIT]
    assert supervision.exit_code == host.EX_CONFIG


def test_stopping_terminates_waits_and_exits():
    supervision = started()
    beating(supervision, 1.0, 5.0)
    assert supervision.stop(5.0) == [TERMINATE]
    assert supervision.stop(5.1) == []
    assert supervision.poll(6.0) == []
    supervision.exited(0, 6.5)
    assert supervision.poll(6.5) == [EXIT]
    assert supervision.exit_code == 0


def test_a_worker_that_does_not_stop_is_killed_and_cleaned_up_after():
    supervision = started()
    beating(supervision, 1.0, 5.0)
    supervision.stop(5.0)
    for now in range(6, 15):
        assert supervision.poll(float(now)) == []
    assert supervision.poll(5.0 + host.STOP_WITHIN) == [KILL]
    supervision.exited(137, 15.5)
    assert supervision.poll(15.5) == [CLEAN_UP, EXIT]
    assert supervision.exit_code == 0


def test_stopping_between_two_workers_does_not_start_another():
    supervision = started()
    supervision.exited(1, 1.0)
    assert supervision.stop(1.05) == []
    assert supervision.poll(1.05) == [CLEAN_UP, EXIT]


@given(st.lists(st.tuples(st.sampled_from(["beat", "exit", "stop", "wait"]), st.floats(0.01, 20)), max_size=60))
def test_there_is_never_a_second_worker(steps):
    supervision, now, running = Supervision(0.0), 0.0, False
    for event, seconds in steps:
        now += seconds
        if event == "beat":
            supervision.beat(now)
        elif event == "exit" and running:
            running = False
            supervision.exited(1, now)
        elif event == "stop":
            assert supervision.stop(now) in ([], [TERMINATE])
        for command in supervision.poll(now):
            if command == START:
                assert not running
                running = True
                supervision.started(now)
            elif command == EXIT:
                assert not running
                return


def test_the_host_imports_next_to_nothing():
    """Its memory is the reason why it is a file of its own."""
    script = f"import sys; sys.argv=['x']; import runpy; runpy.run_path({host.__file__!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    for heavy in (
        "asyncio",
        "yaml",
        "structlog",
        "json",
        "subprocess",
        "argparse",
        "dataclasses",
        "ssl",
        "plantgate_agent",
    ):
        assert heavy not in loaded


def test_a_user_that_is_not_there_means_no_change_of_user(capsys):
    assert host.as_user("nobody-of-this-name") == []
    assert host.as_user("") == []
    assert host.as_user("root") == []
