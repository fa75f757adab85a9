"""The VPN as a person sees it: one TCP connection and its round trips, against the same two hops without Plantgate.

Cables without length make the round trip a worst case: all of it is processing, most of it in WireGuard's user-space
processes and in waiting for one of the processors. A third line shows what is not ours: two plain hops whose hub and
gateway track connections and translate addresses, as any router before a plant does.

At full speed the processors are the limit: WireGuard's user-space processes lose packets that they find no time for,
and how many wake-ups and acknowledgements a byte costs depends on how the processes happen to take turns. A transfer
at a moderate rate has none of that and shows what a packet costs.
"""

from collections.abc import Iterator

from .lines import compared, paced, plain_line, product_line, pulls, round_trips, transfer_figures
from .registry import Figure, benchmark


@benchmark("vpn-throughput", "bytes/s and round trip through hub and agent, against two plain WireGuard hops")
def vpn_throughput() -> Iterator[Figure]:
    with (
        plain_line("bench-plain") as plain,
        plain_line("bench-tracking", tracking=True) as tracking,
        product_line("bench-ours") as ours,
    ):
        moved = pulls(ours, tracking, plain)
        yield from transfer_figures("vpn throughput", [(one, other) for one, _, other in moved], 0.95)
        costs = [(one.cost, other.cost) for _, one, other in moved]
        yield compared("vpn throughput: processor time of tracking and translation alone", costs, "ms/MB", 1e9)
        woken = [(one.wakeups, other.wakeups) for one, _, other in moved]
        yield compared("vpn throughput: wake-ups of threads", woken, "/MB", 1e6)
        name, calm = "vpn at 40 Mbit/s: processor time", paced(ours, tracking, plain)
        yield compared(name, [(one.cost, other.cost) for one, _, other in calm], "ms/MB", 1e9)
        costs = [(one.cost, other.cost) for _, one, other in calm]
        yield compared(f"{name} of tracking and translation alone", costs, "ms/MB", 1e9)
        trips = round_trips(ours, tracking, plain)
        yield compared("vpn round trip", [(one, other) for one, _, other in trips], "ms", 1e3, at_most=1.05)
        alone = [(one, other) for _, one, other in trips]
        yield compared("vpn round trip of tracking and translation alone", alone, "ms", 1e3)
