"""First process of a lab host: holds its namespaces, gives it private folders, reaps orphans.

Runs alone (`python -I -S holder.py HOSTNAME REGISTRATION LIFELINE`) under `unshare --net --mount --uts --pid --fork`,
so it imports nothing of ours. When it dies, the kernel kills every process of the host and frees the namespaces:
that is the whole teardown.
"""

import ctypes
import json
import os
import select
import signal
import socket
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
SCRATCH = "/run/.lab"  # upper layers of the private folders
PRIVATE = ("/etc", "/var/lib")
"""Folders in which a host sees the machine's files and writes only its own (configuration, state, /etc/hosts)."""


def mount(source: str, target: str, kind: str, options: str = "") -> None:
    failed = LIBC.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(0), options.encode() or None)
    if failed:
        error = ctypes.get_errno()
        sys.exit(f"cannot mount {kind} on {target}: {os.strerror(error)}")


def register(path: str) -> None:
    """Say where we are before anything else, so that a lab whose creator dies now can still be taken down.

    /proc is still the machine's own here, hence the pid is the one the machine sees. When the lab's folder is gone
    already the rename fails and the host ends.
    """
    pid = int(os.readlink("/proc/self"))
    with open("/proc/self/stat", encoding="utf-8") as file:
        started = int(file.read().rpartition(")")[2].split()[19])
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump({"pid": pid, "started": started}, file)
    os.rename(path + ".new", path)


def private_folders() -> None:
    mount("tmpfs", "/run", "tmpfs", "mode=755")
    os.makedirs("/run/wireguard")
    os.makedirs("/run/lock")
    for number, folder in enumerate(PRIVATE):
        upper, work = f"{SCRATCH}/{number}/upper", f"{SCRATCH}/{number}/work"
        os.makedirs(upper)
        os.makedirs(work)
        mount("overlay", folder, "overlay", f"lowerdir={folder},upperdir={upper},workdir={work}")
    mount("proc", "/proc", "proc")
    mount("sysfs", "/sys", "sysfs")  # /sys/class/net shows the namespace in which it was mounted


def reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def hold(lifeline: bool) -> None:
    """Until killed or, with a lifeline, until the creator closes its end of our standard input by ending."""
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    watched = [wake_read, 0] if lifeline else [wake_read]
    while True:
        readable, _, _ = select.select(watched, [], [])
        if 0 in readable and not os.read(0, 1):
            return
        if wake_read in readable:
            os.read(wake_read, 4096)
            reap()


def main() -> None:
    hostname, registration, lifeline = sys.argv[1:4]
    register(registration)
    private_folders()
    socket.sethostname(hostname)
    os.write(1, b"ready\n")
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    hold(lifeline == "lifeline")


if __name__ == "__main__":
    main()
