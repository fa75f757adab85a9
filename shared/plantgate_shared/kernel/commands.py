"""Running `ip` and `wg`: fixed argument lists, input without touching a disk, errors with cause and remedy."""

import asyncio
import os

from ..errors import KernelError

TIMEOUT = 15.0
"""Seconds; these commands end within milliseconds, more means that they hang."""

PACKAGES = {"ip": "iproute2", "wg": "wireguard-tools", "wireguard-go": "wireguard-go"}
"""The Debian package of each command that is used here."""

NO_RIGHTS = "run it as root or give it CAP_NET_ADMIN"


async def run(*argv: str, operation: str, stdin: bytes = b"") -> str:
    """What the command printed. `operation` completes 'cannot …'. Raises KernelError."""
    # A memory file rather than a pipe: `wg` opens /dev/stdin by name, which a socket pair (asyncio's stdin) refuses.
    source = os.memfd_create("stdin", os.MFD_CLOEXEC)
    try:
        _write_all(source, stdin)
        os.lseek(source, 0, os.SEEK_SET)
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=source, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True
        )
    except FileNotFoundError:
        package = PACKAGES.get(argv[0], argv[0])
        raise KernelError(
            f"cannot {operation}: the command {argv[0]} is not installed", hint=f"install the package {package}"
        ) from None
    except OSError as error:
        raise KernelError(f"cannot {operation}: {argv[0]} does not start: {error.strerror}") from None
    finally:
        os.close(source)
    try:
        output, complaint = await asyncio.wait_for(process.communicate(), TIMEOUT)
    except TimeoutError:
        raise KernelError(
            f"cannot {operation}: {argv[0]} did not end within {TIMEOUT:.0f} s", hint="see what holds it with ps"
        ) from None
    finally:
        if process.returncode is None:  # too slow, or our task was cancelled
            process.kill()
            await process.wait()
    if process.returncode != 0:
        cause = " ".join(complaint.decode(errors="replace").split()) or f"{argv[0]} ended with {process.returncode}"
        raise KernelError(f"cannot {operation}: {cause[:500]}", hint=_remedy(cause))
    return output.decode(errors="replace")


def _write_all(target: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]


def _remedy(cause: str) -> str:
    if "not permitted" in cause or "Permission denied" in cause:
        return NO_RIGHTS
    if "Cannot find device" in cause or "No such device" in cause:
        return "the interface is gone; the next full pass makes it anew"
    return ""
