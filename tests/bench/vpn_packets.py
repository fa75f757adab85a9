"""Traffic of 2,000 people for `vpn-elements`: `send` from everyone's address, `receive` notes who came last when."""

import contextlib
import json
import signal
import socket
import struct
import sys
import time

from .vpn_hub import FIRST, REVOKED

PORT = 9000
ROUND = 0.1
"""Each person sends ten datagrams a second, 20,000 a second altogether."""
BURST = 100
SO_TIMESTAMPNS = 35  # asm-generic/socket.h


def send() -> None:
    sockets = []
    for person in range(REVOKED):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((str(FIRST + person), 20000))
        made.setblocking(False)
        sockets.append(made)
    print("ready", flush=True)
    pause = ROUND * BURST / REVOKED
    due = time.monotonic()
    while True:
        for start in range(0, REVOKED, BURST):
            for made in sockets[start : start + BURST]:
                with contextlib.suppress(OSError):  # refused: sent again next time
                    made.sendto(b"x", ("192.168.0.10", PORT))
            due = max(due + pause, time.monotonic() - ROUND)
            time.sleep(max(0.0, due - time.monotonic()))


def receive() -> None:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    made.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    made.bind(("0.0.0.0", PORT))
    last: dict[str, float] = {}
    complete = False

    def report(*_: object) -> None:
        print(json.dumps(last), flush=True)
        sys.exit(0)

    signal.signal(signal.SIGTERM, report)
    print("ready", flush=True)
    while True:
        _, ancillary, _, (sender, _) = made.recvmsg(16, 64)
        seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])  # when the kernel had it, not when we look
        last[sender] = seconds + nanoseconds / 1e9
        if len(last) == REVOKED and not complete:
            complete = True
            print("everyone", flush=True)


if __name__ == "__main__":
    {"send": send, "receive": receive}[sys.argv[1]]()
