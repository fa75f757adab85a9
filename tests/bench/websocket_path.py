"""What it costs that WireGuard goes inside the websocket: the same product with and without a firewall against UDP."""

from collections.abc import Iterator

from .lines import compared, product_line, turns
from .registry import Figure, benchmark

PULLS, PULL_SECONDS = 7, 3.0
ROUNDS, ROUND_SECONDS = 9, 0.6


@benchmark("websocket-path", "WireGuard inside the websocket against WireGuard over UDP, both through hub and agent")
def websocket_path() -> Iterator[Figure]:
    with product_line("bench-udp") as udp, product_line("bench-websocket", udp=False) as websocket:
        pulls = turns(PULLS, lambda: websocket.pull(PULL_SECONDS), lambda: udp.pull(PULL_SECONDS))
        trips = turns(ROUNDS, lambda: websocket.round_trips(ROUND_SECONDS), lambda: udp.round_trips(ROUND_SECONDS))
    yield compared("websocket-path throughput", pulls, "Mbit/s", 8e-6, at_least=0.5)
    yield compared("websocket-path round trip", [(one[0], other[0]) for one, other in trips], "ms", 1e3)
