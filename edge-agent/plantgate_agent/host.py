"""The host: a small supervisor that keeps exactly one worker alive, and knows when it is not.

It is run as a file of its own (`python -I -S host.py ...`, see `command`), imports next to nothing and so costs the
gateway a few MiB. The worker proves its life by a byte a second through a pipe; a worker that exits is restarted, one
that is silent is killed first. The pipe's other end tells the worker that the host is gone.

`Supervision` decides, without I/O or clock; `Host` carries it out.
"""

import os
import select
import signal
import sys
import time

HEARTBEAT_FD = "PLANTGATE_HEARTBEAT_FD"
"""Environment variable that names the worker's end of the pipe."""
LOCK_FD = "PLANTGATE_LOCK_FD"
"""Environment variable that names the descriptor whose lock shows that this gateway's agent runs."""
SILENT_FOR = 5.0
"""Seconds without a sign of life after which a worker hangs. With a restart it makes the 6 s that a hang may cost."""
OWN_STALL = 7.0
"""Seconds between two looks of the host, which wakes at every sign of life, that show that it was frozen itself."""
START_WITHIN = 30.0
"""Seconds until the first sign of life: reading Python from a worn SD card takes some."""
STOP_WITHIN = 10.0
"""Seconds a worker has to leave the kernel as it found it."""
RESTART_AFTER = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before each restart in a row."""
STABLE_AFTER = 60.0
"""Seconds of life after which a worker's failures are forgotten."""
EX_CONFIG = 78
"""A worker that ends so will end so again until a person changes something."""

START, KILL, TERMINATE, CLEAN_UP, EXIT = "start", "kill", "terminate", "clean up", "exit"


class Supervision:
    """Feed it what happened with the time (monotonic seconds); `poll` says what to do, `deadline` when to ask again."""

    def __init__(self, now: float) -> None:
        self.deadline = now
        self.exit_code = 0
        self._running = False
        self._alive = False
        self._stopping = False
        self._clean = True
        self._started = now
        self._failures = 0
        self._polled = now

    @property
    def ready(self) -> bool:
        """The worker has shown a sign of life."""
        return self._alive

    def started(self, now: float) -> None:
        self._running, self._alive, self._clean = True, False, False
        self._started = now
        self.deadline = now + START_WITHIN

    def beat(self, now: float) -> None:
        """The worker showed a sign of life."""
        if self._stopping or not self._running:
            return
        self._alive = True
        self.deadline = now + SILENT_FOR
        if now - self._started > STABLE_AFTER:
            self._failures = 0

    def exited(self, code: int, now: float) -> None:
        """The worker is gone; `code` as a shell counts it (128 + signal)."""
        self._running = self._alive = False
        self._clean = code == 0
        self.exit_code = code
        if self._stopping or code == EX_CONFIG:
            self._stopping = True
            self.exit_code = code if code == EX_CONFIG else 0
            self.deadline = now
            return
        self.deadline = now + RESTART_AFTER[min(self._failures, len(RESTART_AFTER) - 1)]
        self._failures += 1

    def stop(self, now: float) -> list[str]:
        """A person or the system asks to end."""
        if self._stopping:
            return []
        self._stopping = True
        self.exit_code = 0
        self.deadline = now + STOP_WITHIN if self._running else now
        return [TERMINATE] if self._running else []

    def poll(self, now: float) -> list[str]:
        late, self._polled = now - self._polled, now
        if now < self.deadline:
            return []
        if self._running and late > OWN_STALL:
            self.deadline = now + SILENT_FOR  # it was this process that stood still, with the whole host perhaps
            return []
        if self._running:
            self.deadline = now + STOP_WITHIN  # what SIGKILL does not end within this, nothing ends: ask again
            return [KILL]
        if self._stopping:
            return [EXIT] if self._clean else [CLEAN_UP, EXIT]
        return [START]


class Host:
    """Carries out what `Supervision` decides: processes, signals, systemd."""

    def __init__(self, user: str) -> None:
        self._user = user
        self._pid = 0
        self._beats = -1
        self._wake, wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._signals = []  # type: list[int]
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, self._on_signal)
        signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
        self._notify = Notify()
        self._supervision = Supervision(time.monotonic())

    def run(self) -> int:
        """Until told to stop; returns the exit status."""
        while True:
            self._wait()
            self._take_signals()
            self._take_beats()
            self._reap()
            for command in self._supervision.poll(time.monotonic()):
                if command == EXIT:
                    return self._supervision.exit_code
                self._carry_out(command)
            self._notify.watchdog(time.monotonic())

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if self._beats >= 0:
            poll.register(self._beats, select.POLLIN)
        timeout = min(self._supervision.deadline - time.monotonic(), self._notify.interval)
        poll.poll(max(0, int(timeout * 1000) + 1))

    def _on_signal(self, number: int, _frame: object) -> None:
        self._signals.append(number)

    def _take_signals(self) -> None:
        try:  # noqa: SIM105  contextlib would cost the host memory
            os.read(self._wake, 512)
        except BlockingIOError:
            pass
        while self._signals:
            number = self._signals.pop(0)
            if number in (signal.SIGTERM, signal.SIGINT):
                self._notify.send("STOPPING=1")
                for command in self._supervision.stop(time.monotonic()):
                    self._carry_out(command)
            elif number == signal.SIGHUP and self._pid:
                os.kill(self._pid, signal.SIGHUP)

    def _take_beats(self) -> None:
        if self._beats < 0:
            return
        try:
            data = os.read(self._beats, 512)
        except BlockingIOError:
            return
        if not data:  # the worker closed its end: only its exit says what comes next
            os.close(self._beats)
            self._beats = -1
            return
        was_ready = self._supervision.ready
        self._supervision.beat(time.monotonic())
        if self._supervision.ready and not was_ready:
            self._notify.send(f"READY=1\nSTATUS=worker {self._pid} is running")

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid != self._pid:
                continue
            code = os.waitstatus_to_exitcode(status)
            code = 128 - code if code < 0 else code
            self._pid = 0
            if self._beats >= 0:
                os.close(self._beats)
                self._beats = -1
            self._supervision.exited(code, time.monotonic())
            if code:
                say(f"the worker ended with status {code}")
                self._notify.send(f"STATUS=the worker ended with status {code}")

    def _carry_out(self, command: str) -> None:
        if command == START:
            self._start()
        elif command == TERMINATE:
            os.kill(self._pid, signal.SIGTERM)
        elif command == KILL and self._pid:
            say(f"worker {self._pid} gives no sign of life; it is killed")
            os.kill(self._pid, signal.SIGKILL)
        elif command == CLEAN_UP:
            arguments = python("cleanup")
            os.waitpid(spawn(arguments, os.environ), 0)

    def _start(self) -> None:
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        os.set_inheritable(writer, True)
        environment = dict(os.environ)
        environment[HEARTBEAT_FD] = str(writer)
        environment.setdefault("MALLOC_ARENA_MAX", "1")  # glibc's arenas per thread cost the worker some MiB
        for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
            environment.pop(name, None)
        try:
            self._pid = spawn(as_user(self._user) + worker(), environment)
        except OSError as error:
            os.close(reader)
            say(f"cannot start the worker: {error}")
            self._supervision.started(time.monotonic())
            self._supervision.exited(71, time.monotonic())
            return
        finally:
            os.close(writer)
        self._beats = reader
        self._supervision.started(time.monotonic())


class Notify:
    """systemd's notification socket; silent where there is none."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        period = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6
        self._watchdog = period > 0
        self.interval = period / 3 if self._watchdog else 60.0
        """Seconds within which the host must come round."""
        self._next = 0.0

    def send(self, message: str) -> None:
        if not self._address:
            return
        import socket

        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            try:
                channel.sendto(message.encode(), address)
            except OSError as error:
                say(f"cannot notify the service manager: {error}")

    def watchdog(self, now: float) -> None:
        if self._watchdog and now >= self._next:
            self._next = now + self.interval
            self.send("WATCHDOG=1")


def python(*arguments: str) -> list[str]:
    """The command line of another part of the agent: no module from the working directory, no tables of columns."""
    return [sys.executable, "-P", "-X", "no_debug_ranges", "-m", "plantgate_agent", *arguments]


def worker() -> list[str]:
    """The command line of the worker, which does without the command line's memory."""
    return [*python()[:-1], "plantgate_agent.worker"]


def command(user: str) -> list[str]:
    """The command line of the host."""
    return [sys.executable, "-I", "-S", "-X", "no_debug_ranges", os.path.abspath(__file__), user]


def as_user(user: str) -> list[str]:
    """What to put before a command line so that it runs as `user` with CAP_NET_ADMIN as its only right.

    Empty where that cannot be: the host is not root, or there is no such user.
    """
    if not user or os.geteuid() != 0:
        return []
    import pwd

    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        say(f"there is no user {user!r}, so the worker runs as root")
        return []
    if entry.pw_uid == 0:
        return []
    keep = "-all,+net_admin"
    return [
        "setpriv",
        f"--reuid={entry.pw_uid}",
        f"--regid={entry.pw_gid}",
        "--init-groups",
        f"--inh-caps={keep}",
        f"--ambient-caps={keep}",
        f"--bounding-set={keep}",
        "--no-new-privs",
        "--",
    ]


def spawn(arguments: list[str], environment: "os._Environ[str] | dict[str, str]") -> int:
    """Start a process with the signals' default actions; returns its id."""
    defaults = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE)
    return os.posix_spawnp(arguments[0], arguments, environment, setsigdef=defaults)


def say(message: str) -> None:
    sys.stderr.write(f"plantgate-agent: {message}\n")
    sys.stderr.flush()


def keep_lock() -> None:
    """The host alone holds the lock: one that is killed must not live on in its worker."""
    number = os.environ.pop(LOCK_FD, "")
    if number.isdigit():
        os.set_inheritable(int(number), False)


if __name__ == "__main__":
    keep_lock()
    sys.exit(Host(sys.argv[1]).run())
