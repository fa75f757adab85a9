"""The VPN as a person sees it: one TCP connection and its round trips, against the same two hops without Plantgate."""

from collections.abc import Iterator

from .lines import Compared, pairs, plain_line, product_line
from .registry import Figure, benchmark

PAIRS = 7
PULL_SECONDS = 3.0
ROUND_TRIP_SECONDS = 1.5


@benchmark("vpn-throughput", "bytes/s and round trip through hub and agent, against two plain WireGuard hops")
def vpn_throughput() -> Iterator[Figure]:
    with plain_line("bench-plain") as plain, product_line("bench-ours") as ours:
        pulls = pairs(PAIRS, lambda: ours.pull(PULL_SECONDS), lambda: plain.pull(PULL_SECONDS))
        trips = pairs(PAIRS, lambda: ours.round_trip(ROUND_TRIP_SECONDS), lambda: plain.round_trip(ROUND_TRIP_SECONDS))
    found = Compared.of(pulls, 8e-6)
    yield Figure.compared(
        "vpn throughput",
        found.value,
        "Mbit/s",
        baseline=found.baseline,
        ratio=found.ratio,
        at_least=0.95,
        ratio_quartiles=found.ratio_spread,
        pairs=found.pairs,
    )
    found = Compared.of(trips, 1e3)
    yield Figure.compared(
        "vpn round trip",
        found.value,
        "ms",
        baseline=found.baseline,
        ratio=found.ratio,
        at_most=1.05,
        ratio_quartiles=found.ratio_spread,
        pairs=found.pairs,
    )
