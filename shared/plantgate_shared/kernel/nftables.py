"""nftables through libnftables in process: text commands in, listings out.

In process a change of one element costs a fraction of a millisecond; the `nft` command re-reads everything first.
A context belongs to the network namespace in which it was made and is used from one thread of its own, so a slow
listing in one context never delays a change made through another.
"""

import asyncio
import contextlib
import ctypes
import ctypes.util
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from ..errors import KernelError
from .commands import NO_RIGHTS

T = TypeVar("T")

# nftables/libnftables.h
_OUTPUT_STATELESS = 1 << 2
_OUTPUT_HANDLE = 1 << 3
_OUTPUT_JSON = 1 << 4
_OUTPUT_NUMERIC_PRIO = 1 << 8
_OUTPUT_TERSE = 1 << 11

_GIST_LENGTH = 160

_REMEDIES = (
    ("Operation not permitted", NO_RIGHTS),
    ("No such file or directory", "it is not in the kernel; a full pass brings it back"),
    ("File exists", "something else is there already, an overlapping interval for one; a full pass corrects it"),
    ("interval overlaps", "a full pass splits or replaces it"),
    ("not supported", "this kernel lacks a part of nftables; Linux 5.10 or newer with nf_tables is needed"),
    ("syntax error", "this is a defect, please report it with the version of nftables"),
)


@cache
def _library() -> ctypes.CDLL:
    for name in ("libnftables.so.1", ctypes.util.find_library("nftables")):
        if name:
            try:
                library = ctypes.CDLL(name)
            except OSError:
                continue
            return _declare(library)
    raise KernelError("cannot use nftables: libnftables is not installed", hint="install the package libnftables1")


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    context = ctypes.c_void_p
    library.nft_ctx_new.argtypes, library.nft_ctx_new.restype = [ctypes.c_uint32], context
    library.nft_ctx_free.argtypes, library.nft_ctx_free.restype = [context], None
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [context]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).argtypes, getattr(library, name).restype = [context], ctypes.c_char_p
    library.nft_ctx_output_set_flags.argtypes = [context, ctypes.c_uint]
    library.nft_ctx_output_set_flags.restype = None
    library.nft_run_cmd_from_buffer.argtypes = [context, ctypes.c_char_p]
    return library


class Nftables:
    """A libnftables context in the current network namespace, with a thread of its own.

    One call of `run` or `arun` is one atomic transaction: all of its commands take effect together or none does.
    Calls are served in order. `close()` ends the thread; what is in the kernel stays.
    """

    def __init__(self, *, name: str = "nftables") -> None:
        # The thread starts here and so is born in the namespace of the caller.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        try:
            self._context: int | None = self._thread.submit(_make_context).result()
        except BaseException:
            self._thread.shutdown()
            raise

    def run(self, commands: str, *, json: bool = False, terse: bool = False, handles: bool = False) -> str:
        """Run nft commands (one a line) and return what they list. Blocks. Raises KernelError.

        `json`: listings as JSON; `terse`: without the elements of sets and maps; `handles`: with rule handles.
        """
        return self._thread.submit(self._run, commands, _flags(json, terse, handles)).result()

    def run_here(self, commands: str) -> str:
        """`run` for work that `acall` has brought to this context's thread already."""
        return self._run(commands, _flags(False, False, False))

    async def arun(self, commands: str, *, json: bool = False, terse: bool = False, handles: bool = False) -> str:
        """`run` without blocking the event loop."""
        return await self.acall(lambda: self._run(commands, _flags(json, terse, handles)))

    async def acall(self, work: Callable[[], T]) -> T:
        """Run `work` on this context's thread, in order with its commands: for parsing large listings."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Free the context once the work that has begun is done. Using it afterwards is an error."""
        with contextlib.suppress(RuntimeError):  # the thread has ended: closed before
            self._thread.submit(self._free).result()
            self._thread.shutdown()

    def _free(self) -> None:
        """On the context's own thread, as `_run` is: what it was doing still had the context."""
        if self._context is not None:
            context, self._context = self._context, None
            _free(context)

    def _run(self, commands: str, flags: int) -> str:
        if self._context is None:  # libnftables would take the whole process down
            raise KernelError("cannot use nftables: its context is closed")
        library = _library()
        library.nft_ctx_output_set_flags(self._context, flags)
        status = library.nft_run_cmd_from_buffer(self._context, commands.encode())
        # Reading empties the buffer, so both are read whatever the status.
        output = library.nft_ctx_get_output_buffer(self._context) or b""
        complaint = library.nft_ctx_get_error_buffer(self._context) or b""
        if status != 0:
            raise _error(commands, complaint.decode(errors="replace"))
        return str(output.decode(errors="replace"))


def _make_context() -> int:
    library = _library()
    context = library.nft_ctx_new(0)
    if not context:
        raise KernelError("cannot use nftables: libnftables makes no context", hint="see whether memory is short")
    library.nft_ctx_buffer_output(context)
    library.nft_ctx_buffer_error(context)
    return int(context)


def _free(context: int) -> None:
    _library().nft_ctx_free(context)
    # A large listing leaves hundreds of megabytes in the allocator, which would keep them for the next one.
    with contextlib.suppress(AttributeError):  # not every C library has it
        ctypes.CDLL(None).malloc_trim(0)


def _flags(json: bool, terse: bool, handles: bool) -> int:
    flags = _OUTPUT_STATELESS | _OUTPUT_NUMERIC_PRIO
    return flags | json * _OUTPUT_JSON | terse * _OUTPUT_TERSE | handles * _OUTPUT_HANDLE


def _error(commands: str, complaint: str) -> KernelError:
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    cause = next((line for line in lines if "rror:" in line), lines[0] if lines else "nftables gave no reason")
    cause = cause.partition("rror: ")[2] or cause
    # libnftables repeats the offending command below its message; a batch is shown by its first command otherwise.
    subject = next((line for line in lines[1:] if not set(line) <= {"^", "~", " "}), commands.strip())
    gist = " ".join(subject.split())
    gist = gist if len(gist) <= _GIST_LENGTH else gist[: _GIST_LENGTH - 1] + "…"
    remedy = next((remedy for sign, remedy in _REMEDIES if sign in complaint), "")
    return KernelError(f"nftables refused '{gist}': {cause}", hint=remedy)
