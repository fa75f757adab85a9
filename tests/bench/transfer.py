"""Bulk TCP transfer and round-trip probe between lab hosts: `serve PORT`, `pull|rtt ADDRESS PORT SECONDS`."""

import json
import socket
import statistics
import sys
import time

CHUNK = 1 << 18
PACED = 5_000_000
"""Bytes a second of a paced transfer: 40 Mbit/s, far from what two processors can do."""
SO_MAX_PACING_RATE = 47  # asm-generic/socket.h; TCP paces by itself


def serve(port: int) -> None:
    """Send zeros to whoever says `pull` (`pace`: slowly), echo to whoever says `echo`, one connection after another."""
    listener = socket.create_server(("0.0.0.0", port))
    print("ready", flush=True)
    zeros = memoryview(bytes(CHUNK))
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            try:
                wish = connection.recv(4)
                if wish == b"pace":
                    connection.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, PACED)
                if wish in (b"pull", b"pace"):
                    while True:
                        connection.sendall(zeros)
                while data := connection.recv(4096):
                    connection.sendall(data)
            except OSError:
                continue  # the other end has had enough


def pull(address: str, port: int, seconds: float) -> dict[str, float]:
    """Bytes a second over `seconds`, after half a second for TCP to find its window."""
    with socket.create_connection((address, port), timeout=10) as connection:
        connection.sendall(b"pull")
        buffer = bytearray(CHUNK)
        warm = time.monotonic() + 0.5
        while time.monotonic() < warm:
            connection.recv_into(buffer)
        start, received = time.monotonic(), 0
        while (now := time.monotonic()) < start + seconds:
            received += connection.recv_into(buffer)
    return {"bytes_per_second": received / (now - start)}


def round_trips(address: str, port: int, seconds: float) -> dict[str, float]:
    """Round-trip times of one byte, in seconds: the median, and the tenth that waited least for a processor."""
    with socket.create_connection((address, port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"echo")
        taken = []
        end = time.monotonic() + seconds
        while (start := time.monotonic()) < end:
            connection.sendall(b"x")
            connection.recv(16)
            taken.append(time.monotonic() - start)
    return {"median": statistics.median(taken), "quiet": statistics.quantiles(taken, n=10)[0], "count": len(taken)}


def main(argv: list[str]) -> None:
    command, *rest = argv
    if command == "serve":
        serve(int(rest[0]))
    address, port, seconds = rest
    measure = {"pull": pull, "rtt": round_trips}[command]
    print(json.dumps(measure(address, int(port), float(seconds))))


if __name__ == "__main__":
    main(sys.argv[1:])
