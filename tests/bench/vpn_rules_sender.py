"""Sends through each hub in turn, for `vpn-rules-cost`: prints nanoseconds a packet of every round as JSON."""

import json
import os
import socket
import sys
import time

UDP_SEGMENT = 103  # linux/udp.h
SEGMENT, SEGMENTS = 200, 64
CALLS, ROUNDS = 300, 25


def main() -> None:
    source, transit, typed = sys.argv[1:4]
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # sender and receiver work on one processor
    ways = {kind: _socket(kind, source, typed if kind != "plain" else transit) for kind in ("plain", "bare", "ours")}
    times: dict[str, list[float]] = {kind: [] for kind in ways}
    for number in range(ROUNDS + 1):
        for kind, way in ways.items():
            taken = _round(way)
            if number:  # the first one warms up
                times[kind].append(taken)
    print(json.dumps({**times, "sent": (ROUNDS + 1) * len(ways) * CALLS * SEGMENTS}))


def _socket(device: str, source: str, destination: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    made.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, SEGMENT)
    made.bind((source, 20000))
    made.connect((destination, 9000))
    return made


def _round(way: socket.socket) -> float:
    """Nanoseconds of processor time a packet: what other programs take from this processor does not count."""
    data = bytes(SEGMENT * SEGMENTS)
    began = time.thread_time_ns()
    for _ in range(CALLS):
        way.send(data)
    return (time.thread_time_ns() - began) / (CALLS * SEGMENTS)


if __name__ == "__main__":
    main()
