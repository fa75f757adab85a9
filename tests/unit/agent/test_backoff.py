"""Waits between attempts: bounded, jittered, and quick enough for a fleet that comes back together."""

import random

from hypothesis import given
from hypothesis import strategies as st

from plantgate_agent import backoff


@given(st.integers(-5, 10_000), st.integers(0, 2**32))
def test_a_wait_is_never_nothing_and_never_too_long(attempt, seed):
    wait = backoff.delay(attempt, random.Random(seed))
    assert backoff.SHORTEST <= wait <= backoff.LONGEST
    assert wait <= max(backoff.SHORTEST, backoff.FIRST * 2 ** min(20, max(0, attempt - 1)))


def test_after_a_long_outage_all_agents_are_back_within_ten_seconds_and_spread():
    waits = sorted(backoff.delay(30, random.Random(seed)) for seed in range(10_000))
    assert waits[-1] <= 10
    busiest = max(sum(second <= wait < second + 1 for wait in waits) for second in range(10))
    assert busiest < 0.16 * len(waits), "no second takes much more than its share"
