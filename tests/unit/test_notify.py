"""systemd is told of readiness and of life, and nothing happens without systemd."""

import asyncio
import socket

from plantgate_hub.notify import Notify


def listener(path):
    receiving = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiving.bind(str(path))
    receiving.settimeout(5)
    return receiving


def test_ready_reaches_the_service_manager(tmp_path):
    with listener(tmp_path / "notify") as receiving:
        Notify({"NOTIFY_SOCKET": str(tmp_path / "notify")}).send("READY=1")
        assert receiving.recv(100) == b"READY=1"


async def test_the_watchdog_is_fed_several_times_within_its_period(tmp_path):
    with listener(tmp_path / "notify") as receiving:
        notify = Notify({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "40000"})
        feeding = asyncio.create_task(notify.watchdog())
        for _ in range(3):
            assert await asyncio.to_thread(receiving.recv, 100) == b"WATCHDOG=1"
        feeding.cancel()


async def test_without_systemd_nothing_is_sent_and_the_watchdog_ends_at_once():
    notify = Notify({})
    notify.send("READY=1")
    await asyncio.wait_for(notify.watchdog(), timeout=5)
