"""The VPN as a person sees it: one TCP connection and its round trips, against the same two hops without Plantgate.

Cables without length make the round trip a worst case: all of it is processing, most of it in WireGuard's user-space
processes and in waiting for one of the processors. A third line shows what is not ours: two plain hops whose hub and
gateway track connections and translate addresses, as any router before a plant does.
"""

from collections.abc import Iterator

from .lines import compared, plain_line, product_line, turns
from .registry import Figure, benchmark

PULLS, PULL_SECONDS = 7, 3.0
ROUNDS, ROUND_SECONDS = 15, 0.6


@benchmark("vpn-throughput", "bytes/s and round trip through hub and agent, against two plain WireGuard hops")
def vpn_throughput() -> Iterator[Figure]:
    with (
        plain_line("bench-plain") as plain,
        plain_line("bench-tracking", tracking=True) as tracking,
        product_line("bench-ours") as ours,
    ):
        pulls = turns(PULLS, lambda: ours.pull(PULL_SECONDS), lambda: plain.pull(PULL_SECONDS))
        trips = turns(ROUNDS, *(lambda line=line: line.round_trips(ROUND_SECONDS) for line in (ours, tracking, plain)))
    yield compared("vpn throughput", pulls, "Mbit/s", 8e-6, at_least=0.95)
    for which, kind, bound in ((0, "", {"at_most": 1.05}), (1, ", undisturbed", {})):
        against = [(one[which], other[which]) for one, _, other in trips]
        yield compared(f"vpn round trip{kind}", against, "ms", 1e3, **bound)
        alone = [(one[which], other[which]) for _, one, other in trips]
        yield compared(f"vpn round trip{kind}: tracking and translation alone", alone, "ms", 1e3)
