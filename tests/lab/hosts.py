"""A lab host: a machine made of namespaces, and every way to run something on it.

Its namespaces live as long as its first process (holder.py). Commands enter them with nsenter; test code opens
sockets inside its network with `Host.socket` and `Host.connect`, or runs a function there with `Host.call`.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.eventually import wait_until

from .state import MARK, LabError, LabState, ProcessRef

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str


class CommandFailed(LabError):
    """A command on a lab host ended with an error or ran too long."""


class Process:
    """A long-running command on a host. `pid` is the command's own, as this machine sees it, not nsenter's."""

    def __init__(self, popen: subprocess.Popen[bytes], name: str, log: Path) -> None:
        self.popen, self.name, self.log = popen, name, log

    @property
    def pid(self) -> int:
        """Raises LabError when it has ended."""
        children = Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children")

        def child() -> int:
            if self.popen.poll() is not None:
                raise LabError(f"{self.name} has ended with status {self.popen.returncode}", hint=f"see {self.log}")
            return int(children.read_text().split()[0]) if children.read_text() else 0

        pid: int = wait_until(child, timeout=5, poll=0.002)
        return pid

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens when it has ended."""
        with contextlib.suppress(ProcessLookupError, LabError):
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.signal(signal.SIGTERM)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    def descendants(self) -> list[int]:
        """The pids of the command's children, theirs and so on, as this machine sees them."""
        found: list[int] = []
        unseen = [self.pid]
        while unseen:
            with contextlib.suppress(OSError):
                pid = unseen.pop()
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
                unseen += [int(child) for child in children]
                found += [int(child) for child in children]
        return found

    def wait(self, timeout: float = 10.0) -> int:
        return self.popen.wait(timeout)

    def stop(self, timeout: float = 10.0) -> int:
        """SIGTERM, then SIGKILL when that does not help in time; the exit status."""
        self.terminate()
        try:
            return self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.wait(timeout)

    def output(self) -> str:
        """What it printed, and the earlier runs with the same name before it."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait_for(self, text: str, timeout: float = 20.0) -> None:
        """Until it printed `text`. Raises LabError when it ends first."""

        def printed() -> bool:
            if text in self.output():
                return True
            if not self.running:
                raise LabError(f"{self.name} ended with status {self.popen.returncode}: {self.output()[-2000:]}")
            return False

        wait_until(printed, timeout)


@dataclass
class Host:
    """A host that is up."""

    name: str
    state: LabState
    holder: ProcessRef
    addresses: tuple[str, ...] = ()
    unshare: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    # --- commands ---

    @property
    def enter(self) -> tuple[str, ...]:
        """The command line that runs what is put after it on this host."""
        return ("nsenter", "-t", str(self.holder.pid), "-a", "--")

    def command(self, argv: Sequence[str], cwd: Path | str = "/", env: Mapping[str, str] | None = None) -> list[str]:
        variables = [f"{MARK}={self.state.name}", *(f"{key}={value}" for key, value in (env or {}).items())]
        # The command dies with nsenter, which would otherwise leave it behind when it is killed itself.
        tied = ("setpriv", "--pdeathsig", "KILL")
        return [*self.enter, *tied, "env", f"--chdir={cwd}", *variables, *map(str, argv)]

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        input: str | None = None,
        timeout: float = 30.0,
        cwd: Path | str = "/",
        env: Mapping[str, str] | None = None,
    ) -> Finished:
        """Run a command to its end. Raises CommandFailed on another status than 0 (unless `check` is false)."""
        try:
            done = subprocess.run(
                self.command(argv, cwd, env),
                input=input,
                stdin=subprocess.DEVNULL if input is None else None,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CommandFailed(f"{self.name}: {' '.join(argv)} did not end within {timeout} s") from None
        return self._finished(argv, done.returncode, done.stdout, done.stderr, check)

    async def exec(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        input: str | None = None,
        timeout: float = 30.0,
        cwd: Path | str = "/",
        env: Mapping[str, str] | None = None,
    ) -> Finished:
        """`run` for asyncio. The command dies when the waiting task is cancelled."""
        process = await asyncio.create_subprocess_exec(
            *self.command(argv, cwd, env),
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(timeout):
                out, err = await process.communicate(None if input is None else input.encode())
        except TimeoutError:
            raise CommandFailed(f"{self.name}: {' '.join(argv)} did not end within {timeout} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        status = process.returncode or 0
        return self._finished(argv, status, out.decode(errors="replace"), err.decode(errors="replace"), check)

    def _finished(self, argv: Sequence[str], status: int, out: str, err: str, check: bool) -> Finished:
        if check and status:
            said = (err or out).strip()[-2000:]
            raise CommandFailed(f"{self.name}: {' '.join(argv)} ended with status {status}: {said}")
        return Finished(tuple(argv), status, out, err)

    def popen(self, argv: Sequence[str], cwd: Path | str = "/", **options: Any) -> "subprocess.Popen[Any]":
        """A command with pipes of the caller's choice; it dies with nsenter (`Popen.kill`)."""
        return subprocess.Popen(self.command(argv, cwd), **options)

    def spawn(
        self, argv: Sequence[str], *, name: str, cwd: Path | str = ROOT, env: Mapping[str, str] | None = None
    ) -> Process:
        """Start a daemon that lives until it is killed or the host goes. Its output goes to the lab's logs."""
        log = self.state.logs / f"{self.name}.{name}.log"
        variables = [f"{MARK}={self.state.name}", *(f"{key}={value}" for key, value in (env or {}).items())]
        with log.open("ab") as output:
            popen = subprocess.Popen(
                [*self.enter, "env", f"--chdir={cwd}", *variables, *map(str, argv)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return Process(popen, f"{self.name}: {name}", log)

    def spawn_python(self, module: str, *arguments: str, name: str) -> Process:
        """Start a module of this repository as a daemon."""
        return self.spawn([sys.executable, "-u", "-m", module, *arguments], name=name)

    def kill(self) -> None:
        """Pull the plug: every process on the host is gone, with its namespaces, and its links with them."""
        self.holder.kill()

    # --- sockets and functions inside the host's network ---

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """The calling thread is in this host's network inside the block. Never await inside it."""
        if not self.holder.alive:
            raise LabError(f"the host {self.name} is down")
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            there = os.open(f"/proc/{self.holder.pid}/ns/net", os.O_RDONLY)
            try:
                enter_network(there)
            finally:
                os.close(there)
            try:
                yield
            finally:
                enter_network(home)
        finally:
            os.close(home)

    def socket(self, kind: socket.SocketKind = socket.SOCK_STREAM, family: int = socket.AF_INET) -> socket.socket:
        """A non-blocking socket in this host's network; it stays there whoever uses it."""
        with self.network():
            made = socket.socket(family, kind)
        made.setblocking(False)
        return made

    async def connect(
        self, address: str, port: int, timeout: float = 5.0
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A TCP connection from this host. Raises OSError (TimeoutError is one) when there is none."""
        made = self.socket()
        try:
            async with asyncio.timeout(timeout):
                await asyncio.get_running_loop().sock_connect(made, (address, port))
            return await asyncio.open_connection(sock=made)
        except BaseException:
            made.close()
            raise

    async def reaches(self, address: str, port: int, timeout: float = 2.0) -> bool:
        """Whether a TCP connection from this host is accepted."""
        try:
            _, writer = await self.connect(address, port, timeout)
        except OSError:
            return False
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True

    async def call(self, function: Callable[[], T]) -> T:
        """Run `function` in a thread of its own that is in this host's network; give it its own deadline.

        `lambda: asyncio.run(main())` runs a coroutine with all its sockets there.
        """
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()

        def deliver(outcome: Callable[[], None]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(lambda: None if result.done() else outcome())

        def work() -> None:
            try:
                with self.network():
                    value = function()
            except BaseException as error:
                failure = error
                deliver(lambda: result.set_exception(failure))
            else:
                deliver(lambda: result.set_result(value))

        threading.Thread(target=work, name=f"on {self.name}", daemon=True).start()
        return await result

    def sysctl(self, name: str, value: str | int | None = None) -> str:
        """Read a network setting of the host (`net.ipv4.ip_forward`), or set it first."""
        path = Path("/proc/sys", *name.split("."))
        with self.network():
            if value is not None:
                path.write_text(f"{value}\n")
            return path.read_text().strip()

    def nft(self, commands: str) -> str:
        """Run nftables commands on the host in one transaction."""
        return self.run(["nft", "-f", "-"], input=commands).stdout

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file on the host, with its folder. Raises LabError where it would be the machine's own file.

        Only /etc, /run and /var/lib are private to a host. That is looked at each time, not taken on trust: a host
        that came up without its private folders must not overwrite the configuration of the machine it runs on.
        """
        inside = Path(f"/proc/{self.holder.pid}/root{path}")
        existing = next(folder for folder in inside.parents if folder.exists())
        outside = Path("/") / existing.relative_to(f"/proc/{self.holder.pid}/root")
        if outside.exists() and os.path.samestat(existing.stat(), outside.stat()):
            raise LabError(f"{path} is not private to the host {self.name}: writing it would change this machine")
        inside.parent.mkdir(parents=True, exist_ok=True)
        inside.write_text(text)
        inside.chmod(mode)

    def read(self, path: str) -> str:
        return Path(f"/proc/{self.holder.pid}/root{path}").read_text()

    def describe(self) -> dict[str, Any]:
        """Its entry in the lab's document."""
        pid = self.holder.pid
        return {
            "name": self.name,
            "pid": pid,
            "started": self.holder.started,
            "namespaces": {kind: f"/proc/{pid}/ns/{kind}" for kind in ("net", "mnt", "uts", "pid")},
            "addresses": list(self.addresses),
            "exec": " ".join(self.enter),
        }


def enter_network(namespace: int) -> None:
    """Move the calling thread into a network namespace, given by an open file."""
    if _libc.setns(namespace, CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, f"cannot enter the network namespace: {os.strerror(error)}")


def start_hosts(state: LabState, host_names: Sequence[str], lifeline: int | None) -> dict[str, Host]:
    """Start the holders of these hosts side by side.

    `lifeline` is the reading end of a pipe whose other end only the creator holds: with it the hosts end by
    themselves when the creator ends, however it ends. Without it they stay until they are taken down.
    """
    started = {name: _start_holder(state, name, lifeline) for name in host_names}
    hosts = {}
    for name, unshare in started.items():
        assert unshare.stdout is not None
        with unshare.stdout as stdout:
            if stdout.readline() != b"ready\n":
                said = (state.logs / f"{name}.holder.log").read_text().strip()
                raise LabError(f"the host {name} could not be made: {said or 'its first process ended'}")
        hosts[name] = Host(name, state, state.registered()[name], unshare=unshare)
    return hosts


def _start_holder(state: LabState, name: str, lifeline: int | None) -> "subprocess.Popen[bytes]":
    namespaces = ("--net", "--mount", "--uts", "--pid", "--fork", "--kill-child")
    holder = (sys.executable, "-I", "-S", str(Path(__file__).with_name("holder.py")))
    mode = "lifeline" if lifeline is not None else "kept"
    with (state.logs / f"{name}.holder.log").open("ab") as log:
        return subprocess.Popen(
            ["unshare", *namespaces, *holder, name, str(state.holders / name), mode],
            stdin=lifeline if lifeline is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            env={**os.environ, MARK: state.name},
        )
