"""What it costs that WireGuard goes inside the websocket: the same product with and without a firewall against UDP."""

from collections.abc import Iterator

from .lines import Compared, pairs, product_line
from .registry import Figure, benchmark

PAIRS = 7
PULL_SECONDS = 3.0
ROUND_TRIP_SECONDS = 1.5


@benchmark("websocket-path", "WireGuard inside the websocket against WireGuard over UDP, both through hub and agent")
def websocket_path() -> Iterator[Figure]:
    with product_line("bench-udp") as udp, product_line("bench-websocket", udp=False) as websocket:
        pulls = pairs(PAIRS, lambda: websocket.pull(PULL_SECONDS), lambda: udp.pull(PULL_SECONDS))
        trips = pairs(
            PAIRS, lambda: websocket.round_trip(ROUND_TRIP_SECONDS), lambda: udp.round_trip(ROUND_TRIP_SECONDS)
        )
    found = Compared.of(pulls, 8e-6)
    yield Figure.compared(
        "websocket-path throughput",
        found.value,
        "Mbit/s",
        baseline=found.baseline,
        ratio=found.ratio,
        at_least=0.5,
        ratio_quartiles=found.ratio_spread,
        pairs=found.pairs,
    )
    found = Compared.of(trips, 1e3)
    yield Figure.compared(
        "websocket-path round trip",
        found.value,
        "ms",
        baseline=found.baseline,
        ratio=found.ratio,
        ratio_quartiles=found.ratio_spread,
        pairs=found.pairs,
    )
