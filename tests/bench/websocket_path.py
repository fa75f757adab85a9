"""What it costs that WireGuard goes inside the websocket: the same product with and without a firewall against UDP."""

from collections.abc import Iterator

from .lines import compared, product_line, pulls, round_trips, transfer_figures
from .registry import Figure, benchmark


@benchmark("websocket-path", "WireGuard inside the websocket against WireGuard over UDP, both through hub and agent")
def websocket_path() -> Iterator[Figure]:
    with product_line("bench-udp") as udp, product_line("bench-websocket", udp=False) as websocket:
        yield from transfer_figures("websocket-path throughput", pulls(websocket, udp), 0.5)
        yield compared("websocket-path round trip", round_trips(websocket, udp), "ms", 1e3)
