"""How long to wait before the next attempt: exponential with full jitter, pure."""

import random

FIRST = 0.5
"""Bound of the first wait, seconds: a hub that only restarted is found again at once."""
LONGEST = 8.0
"""Bound of any wait, seconds: after a long outage 99 % of all agents are back within 10 s of the hub, spread evenly."""
LONGEST_REFUSED = 120.0
"""Bound where the hub answered but refused this agent, which takes a person to change."""
SHORTEST = 0.1


def delay(attempt: int, rng: random.Random, longest: float = LONGEST) -> float:
    """Seconds to wait after failure number `attempt` (from 1): uniform up to a bound that doubles each time."""
    doublings = min(max(attempt, 1) - 1, 16)
    bound: float = min(longest, FIRST * 2**doublings)
    return max(SHORTEST, rng.uniform(0.0, bound))
