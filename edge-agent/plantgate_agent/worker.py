"""The worker: tunnel, data plane and proxy dialler under one TaskGroup, and signs of life for host and kernel."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Any

from plantgate_shared.errors import KernelError, PlantgateError, ProtocolError
from plantgate_shared.logging import Event, configure, get_logger
from plantgate_shared.protocol.control import (
    AgentStatus,
    DesiredState,
    DeviceLookedFor,
    LookForDevice,
    UnknownControl,
    parse,
    to_map,
)
from plantgate_shared.tunnel import TunnelClosed, TunnelConnection

from . import __version__, status
from .app import Parts, build
from .config import AgentConfig, from_environment
from .host import HEARTBEAT_FD
from .neighbours import Neighbours
from .tunnel import Handlers, HubTunnel
from .vpn import Vpn

BEAT_EVERY = 1.0
STATUS_EVERY = 5.0
"""Seconds between status files."""
TELL_HUB_EVERY = 300.0
"""Seconds between reports to the hub in which only the handshake's age is new."""


def run(config: AgentConfig) -> int:
    """The worker's whole life; its exit status. Errors that end it are one line on standard error."""
    configure(config.log_level)

    async def work() -> None:
        await Worker(build(config)).run()

    try:
        asyncio.run(work())
    except PlantgateError as error:
        print(f"plantgate-agent: {error}", file=sys.stderr)  # noqa: T201  what a person at the service's log needs
        return error.exit_code
    return 0


class HostGone(Exception):
    """Nobody supervises this worker any more."""


class Worker:
    """`run()` until SIGTERM (then the kernel is left without a trace) or until the host is gone (then as it is)."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._log = get_logger()
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()
        self._told: AgentStatus | None = None
        self._told_at = 0.0
        self._vpn: Vpn = parts.vpn(self._changed.set)
        self._dialler = parts.dialler
        self._neighbours = Neighbours(self._reachable)
        self._tunnel: HubTunnel = parts.tunnel(
            Handlers(
                on_up=self._on_up,
                on_down=self._on_down,
                on_stream=self._dialler.serve,
                on_control=self._on_control,
                on_datagrams=self._vpn.from_hub,
                on_epoch=parts.state.raise_epoch,
                on_problem=self._changed.set,
            ),
            self._vpn.permit,
        )

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._vpn.reload)
        self._log.info(Event.WORKER_STARTED, version=__version__, plant=self._parts.enrolment.plant_name)
        for warning in self._parts.warnings:
            self._log.warning(Event.STARTED, warning=warning)
        tasks = [asyncio.ensure_future(self._run_parts()), asyncio.ensure_future(self._stop.wait())]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        await self._neighbours.close()
        if self._stop.is_set():
            await self._leave()
        for task in done:
            try:
                task.result()
            except* HostGone:  # as in a crash: the next worker adopts what is in the kernel
                self._log.warning(Event.STOPPED, error="the host is gone")

    async def _run_parts(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_beating())
            group.create_task(self._vpn.run())
            group.create_task(self._tunnel.run())
            group.create_task(self._keep_telling())

    async def _leave(self) -> None:
        status.clear(self._parts.config.run_dir)
        try:
            await self._vpn.remove()
        except KernelError as error:
            self._log.error(Event.KERNEL_REFUSED, error=str(error))
            raise
        self._log.info(Event.STOPPED)

    # --- signs of life ------------------------------------------------------------------------------------------------

    async def _keep_beating(self) -> None:
        """One chain: a worker whose loop or nftables thread hangs beats neither for the kernel nor for the host."""
        pipe = _heartbeat_pipe()
        while True:
            await self._vpn.stay_alive()
            if pipe is not None:
                _beat(pipe)
            await asyncio.sleep(BEAT_EVERY)

    # --- the tunnel ---------------------------------------------------------------------------------------------------

    def _on_up(self, connection: TunnelConnection) -> None:
        self._told = None
        self._vpn.tunnel_up(connection)
        self._changed.set()

    def _on_down(self) -> None:
        self._vpn.tunnel_down()
        self._changed.set()

    def _on_control(self, message: Mapping[str, Any]) -> None:
        try:
            parsed = parse(message)
        except UnknownControl:
            return  # a newer hub may say more than this version understands
        except ProtocolError as error:
            self._log.error(Event.TUNNEL_REFUSED, error=str(error))
            self._vpn.report.error = str(error)
            self._changed.set()
            return
        if isinstance(parsed, DesiredState):
            self._vpn.want(parsed)
        elif isinstance(parsed, LookForDevice):
            self._neighbours.ask(parsed, self._answer)

    def _answer(self, answer: DeviceLookedFor) -> None:
        if (connection := self._tunnel.connection) is not None:
            with contextlib.suppress(TunnelClosed):
                connection.send_control(to_map(answer))

    def _reachable(self, address: IPv4Address) -> bool:
        return any(address in network for network in self._vpn.report.accepted)

    # --- telling ------------------------------------------------------------------------------------------------------

    async def _keep_telling(self) -> None:
        """The hub on every change, the file also in between."""
        while True:
            self._changed.clear()
            self._tell_hub()
            with contextlib.suppress(OSError):
                status.write(self._parts.config.run_dir, self._document())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STATUS_EVERY):
                    await self._changed.wait()

    def _tell_hub(self) -> None:
        connection, report, now = self._tunnel.connection, self._vpn.report, time.monotonic()
        if connection is None or report.boundary is None:
            return
        message = AgentStatus(
            revision_applied=report.revision,
            path=report.path,
            boundary=report.boundary,
            refused=tuple(refused.network for refused in report.refused),
            error=report.error[:2000],
            version=__version__,
            handshake_age=report.handshake_age,
        )
        same = self._told is not None and _without_age(message) == _without_age(self._told)
        had_one = self._told is not None and self._told.handshake_age is not None
        if same and had_one is (message.handshake_age is not None) and now - self._told_at < TELL_HUB_EVERY:
            return
        with contextlib.suppress(TunnelClosed):
            connection.send_control(to_map(message))
            self._told, self._told_at = message, now

    def _document(self) -> dict[str, Any]:
        report, enrolment = self._vpn.report, self._parts.enrolment
        return {
            "version": __version__,
            "agent_id": enrolment.agent_id,
            "plant": enrolment.plant_name,
            "hub": str(enrolment.hub),
            "connected": self._tunnel.connection is not None,
            "problem": self._tunnel.problem,
            "path": str(report.path),
            "path_reason": report.path_reason,
            "revision": report.revision,
            "boundary": [str(network) for network in report.boundary or ()],
            "accepted": [str(network) for network in report.accepted],
            "refused": [{"network": str(refused.network), "reason": refused.reason} for refused in report.refused],
            "handshake_age": report.handshake_age,
            "streams": self._dialler.running,
            "error": report.error,
            "warnings": [*self._parts.warnings, *report.warnings],
        }


def _without_age(message: AgentStatus) -> dict[str, Any]:
    return {**to_map(message), "handshake_age": None}


def _heartbeat_pipe() -> int | None:
    """The pipe to the host; no child of ours may hold it open."""
    number = os.environ.get(HEARTBEAT_FD, "")
    if not number.isdigit():
        return None
    os.set_inheritable(int(number), False)
    return int(number)


def _beat(pipe: int) -> None:
    """Raises HostGone."""
    with contextlib.suppress(BlockingIOError):
        try:
            os.write(pipe, b".")
        except BrokenPipeError:
            raise HostGone from None


if __name__ == "__main__":
    sys.exit(run(from_environment() or AgentConfig()))
