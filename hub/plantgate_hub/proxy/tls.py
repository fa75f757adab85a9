"""TLS to devices, ended at the hub: the agent only sees ciphertext. And which certificates are accepted."""

import asyncio
import hashlib
import ssl
from functools import cache

from ..domain.model import CertificatePolicy, WebTarget
from ..ports import ByteStream, CertificatePins
from .problems import Problem, ProxyProblem

READ_SIZE = 64 * 1024


@cache
def _context(policy: CertificatePolicy) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if policy is not CertificatePolicy.CA:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class TlsStream:
    """A ByteStream inside TLS over another one."""

    def __init__(self, raw: ByteStream, context: ssl.SSLContext, server_name: str) -> None:
        self._raw = raw
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        self._sending = asyncio.Lock()  # records go out in the order in which they were made

    async def handshake(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._receive()
            else:
                await self._flush()
                return

    def certificate_sha256(self) -> str:
        """Hex SHA-256 of the device's certificate (DER)."""
        return hashlib.sha256(self._tls.getpeercert(True) or b"").hexdigest()

    async def read(self, n: int) -> bytes:
        while True:
            try:
                data = self._tls.read(n)
            except ssl.SSLWantReadError:
                await self._flush()
                await self._receive()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""  # many devices leave the closing alert out; lengths and chunks tell a cut-off body
            else:
                return data

    async def write(self, data: bytes) -> None:
        async with self._sending:
            self._tls.write(data)
            await self._raw.write(self._outgoing.read())

    async def write_eof(self) -> None:
        """TLS knows no half-close that devices understand: nothing to send."""

    def reset(self, reason: str) -> None:
        self._raw.reset(reason)

    async def _flush(self) -> None:
        if self._outgoing.pending:
            async with self._sending:
                await self._raw.write(self._outgoing.read())

    async def _receive(self) -> None:
        data = await self._raw.read(READ_SIZE)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()


async def secure(raw: ByteStream, target: WebTarget, address: str, pins: CertificatePins) -> TlsStream:
    """TLS to the device on a fresh stream, its certificate checked by the target's policy. Raises ProxyProblem."""
    stream = TlsStream(raw, _context(target.certificate_policy), address)
    try:
        await stream.handshake()
    except ssl.SSLCertVerificationError as error:
        raise ProxyProblem(Problem.CERTIFICATE_UNTRUSTED, error.verify_message) from None
    except ssl.SSLError as error:
        raise ProxyProblem(Problem.TLS_FAILED, str(error.reason or "").replace("_", " ").lower()) from None
    if target.certificate_policy is CertificatePolicy.PIN:
        await _check_pin(stream.certificate_sha256(), target, pins)
    return stream


async def _check_pin(seen: str, target: WebTarget, pins: CertificatePins) -> None:
    pinned = target.pinned_sha256 or await pins.pin_first(target.id, seen)
    if pinned.lower() != seen:
        raise ProxyProblem(Problem.CERTIFICATE_CHANGED, f"SHA-256 {seen}")
