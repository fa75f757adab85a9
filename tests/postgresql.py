"""A PostgreSQL server of the tests' own, from Debian's package: made in a temporary folder, gone afterwards."""

import glob
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "postgres"
START_TIMEOUT = 60.0


@dataclass(frozen=True)
class PostgreSql:
    port: int
    process: subprocess.Popen  # type: ignore[type-arg]

    def url(self, database: str) -> str:
        return f"postgresql://{ACCOUNT}@127.0.0.1:{self.port}/{database}"


def programs() -> Path:
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    assert found, "PostgreSQL is missing; run: ./packaging/dev setup"
    return Path(found[-1]).parent


def _as_account() -> list[str]:
    """PostgreSQL refuses to run as root; and it must not outlive tests that are killed."""
    command = ["setpriv", "--pdeathsig", "INT"]
    if os.geteuid() == 0:
        command += ["--reuid", ACCOUNT, "--regid", ACCOUNT, "--clear-groups"]
    return command


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(folder: Path, port: int) -> subprocess.Popen:  # type: ignore[type-arg]
    options = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": str(folder),
        "port": port,
        "fsync": "off",
        "full_page_writes": "off",
        "synchronous_commit": "off",
        "shared_buffers": "16MB",
        "max_connections": "60",
    }
    arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [*_as_account(), str(programs() / "postgres"), "-D", str(folder / "data"), *arguments],
            stdout=log,
            stderr=log,
        )


def _wait(folder: Path, port: int, process: subprocess.Popen) -> None:  # type: ignore[type-arg]
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        assert process.poll() is None, (folder / "log").read_text()
        ready = subprocess.run([str(programs() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)], check=False)
        if ready.returncode == 0:
            return
        time.sleep(0.05)
    raise AssertionError(f"PostgreSQL did not start in {START_TIMEOUT} s: {(folder / 'log').read_text()}")


@contextmanager
def postgresql() -> Iterator[PostgreSql]:
    """A running server that trusts whoever connects on the loopback address."""
    folder = Path(tempfile.mkdtemp(prefix="plantgate-postgresql-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, ACCOUNT, ACCOUNT)
        initdb = [str(programs() / "initdb"), "-D", str(folder / "data"), "-U", ACCOUNT]
        subprocess.run(
            [*_as_account(), *initdb, "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        port = _free_port()
        process = _start(folder, port)
        try:
            _wait(folder, port, process)
            yield PostgreSql(port, process)
        finally:
            process.send_signal(2)  # SIGINT: fast shutdown
            process.wait(timeout=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
