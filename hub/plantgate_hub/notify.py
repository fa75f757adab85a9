"""systemd's notification protocol (sd_notify(3)): readiness and the watchdog. Silent where there is no systemd."""

import asyncio
import os
import socket


class Notify:
    def __init__(self, environment: "os._Environ[str] | dict[str, str]" = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._interval = int(environment.get("WATCHDOG_USEC", "0")) / 2e6

    def send(self, message: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect(address)
            channel.send(message.encode())

    async def watchdog(self) -> None:
        """Show signs of life until cancelled; a blocked event loop shows none, and systemd restarts us."""
        while self._interval:
            self.send("WATCHDOG=1")
            await asyncio.sleep(self._interval)
