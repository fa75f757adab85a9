"""Private keys and the files they live in: Ed25519 identities, X25519 WireGuard keys, plain secrets.

A key file has mode 0600 and is written once, whole, under a temporary name: a crash leaves the old state or the new
one. Reading checks owner, mode and form, and says what is wrong and what to do.
"""

import base64
import binascii
import hashlib
import hmac
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from plantgate_shared.errors import ConfigError
from plantgate_shared.secret import Secret

KEY_LENGTH = 32
"""Bytes of every raw key here: Ed25519, X25519, HMAC-SHA256."""
SIGNATURE_LENGTH = 64
MAX_KEY_FILE = 4096
"""No key file is longer; whatever is, is something else."""


class IdentityKey:
    """An Ed25519 private key. `public` is the raw public key (32 bytes) that the other side pins."""

    __slots__ = ("_key", "public")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"IdentityKey({fingerprint(self.public)})"

    @classmethod
    def generate(cls) -> "IdentityKey":
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, pem: bytes) -> "IdentityKey":
        """From PKCS8 PEM. Raises ValueError when it is something else."""
        key = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("it holds a key of another kind than Ed25519")
        return cls(key)

    def pem(self) -> Secret:
        return Secret(
            self._key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


def verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` over `message` was made with the Ed25519 key whose raw public half is `public`."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class WireGuardKey:
    """An X25519 key in WireGuard's notation: base64, 44 characters, as `wg genkey` and `wg pubkey` print them."""

    private: Secret
    """The base64 text as bytes, without a newline."""
    public: str

    @classmethod
    def generate(cls) -> "WireGuardKey":
        return cls._of(X25519PrivateKey.generate())

    @classmethod
    def from_base64(cls, text: str) -> "WireGuardKey":
        """Raises ValueError when `text` is not a WireGuard key."""
        return cls._of(X25519PrivateKey.from_private_bytes(decode_wireguard(text)))

    @classmethod
    def _of(cls, key: X25519PrivateKey) -> "WireGuardKey":
        private = Secret(base64.b64encode(key.private_bytes_raw()))
        return cls(private, base64.b64encode(key.public_key().public_bytes_raw()).decode())


def decode_wireguard(text: str) -> bytes:
    """The 32 bytes of a base64 WireGuard key in its one canonical spelling. Raises ValueError."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is not base64") from None
    if len(raw) != KEY_LENGTH:
        raise ValueError(f"it has {len(raw)} bytes instead of {KEY_LENGTH}")
    if base64.b64encode(raw).decode() != text:
        raise ValueError("it is not in WireGuard's spelling of base64")
    return raw


def fingerprint(public: bytes) -> str:
    """A public key as people compare it: `SHA256:` and base64 without padding, as OpenSSH prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(public).digest()).decode().rstrip("=")


def certificate_sha256(der: bytes) -> bytes:
    """SHA-256 of a certificate in DER, as `SSLSocket.getpeercert(binary_form=True)` gives it."""
    return hashlib.sha256(der).digest()


def same(one: bytes, other: bytes) -> bool:
    """Equality in a time that does not depend on where they differ."""
    return hmac.compare_digest(one, other)


def among(value: bytes, known: Iterable[bytes]) -> bool:
    """Whether `value` is one of `known`, in a time that does not depend on which."""
    found = False
    for one in known:
        found |= same(value, one)
    return found


# --- files -----------------------------------------------------------------------------------------------------------


def load_or_create_identity(path: Path) -> IdentityKey:
    """The Ed25519 identity in `path` (PKCS8 PEM), made there if the file is absent. Raises ConfigError."""
    data = load_or_create(path, lambda: IdentityKey.generate().pem())
    try:
        return IdentityKey.from_pem(data.reveal())
    except (ValueError, TypeError) as error:
        raise not_a_key(path, "an Ed25519 private key in PEM", str(error).split("\n")[0]) from None


def load_or_create_wireguard(path: Path) -> WireGuardKey:
    """The WireGuard key in `path` (base64, as `wg genkey` prints it), made there if absent. Raises ConfigError."""
    data = load_or_create(path, lambda: Secret(WireGuardKey.generate().private.reveal() + b"\n"))
    try:
        return WireGuardKey.from_base64(data.reveal().decode("ascii").strip())
    except ValueError as error:
        raise not_a_key(path, "a WireGuard private key as `wg genkey` prints it", str(error)) from None


def load_or_create_secret(path: Path) -> Secret:
    """32 random bytes in `path` (base64), made there if absent. Raises ConfigError."""
    data = load_or_create(path, lambda: Secret(base64.b64encode(os.urandom(KEY_LENGTH)) + b"\n"))
    try:
        return Secret(decode_wireguard(data.reveal().decode("ascii").strip()))
    except ValueError as error:
        raise not_a_key(path, f"{KEY_LENGTH} bytes in base64", str(error)) from None


def not_a_key(path: Path, expected: str, why: str) -> ConfigError:
    return ConfigError(
        f"{path} does not hold {expected}: {why}",
        hint="restore the file from its backup; remove it only to give up the old key and have a new one made",
    )


def load_or_create(path: Path, make: Callable[[], Secret]) -> Secret:
    """The content of the private file `path`; an absent file is written first with what `make` gives."""
    try:
        return read_private(path)
    except FileNotFoundError:
        pass
    create_private(path, make())
    return read_private(path)  # whoever came first wins: both then use the same key


def read_private(path: Path) -> Secret:
    """The content of a file that only its owner may read. Raises FileNotFoundError or ConfigError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(
            f"cannot read the key file {path}: {error.strerror}",
            hint="it must be a regular file, not a link, that the service's user may read",
        ) from None
    try:
        _check(path, os.fstat(handle))
        data = os.read(handle, MAX_KEY_FILE + 1)
    finally:
        os.close(handle)
    if len(data) > MAX_KEY_FILE:
        raise ConfigError(f"{path} is longer than {MAX_KEY_FILE} bytes and cannot be a key file")
    if not data.strip():
        raise ConfigError(
            f"the key file {path} is empty", hint="restore it from its backup, or remove it to have a new key made"
        )
    return Secret(data)


def is_credential(path: Path) -> bool:
    """Whether systemd put `path` there (LoadCredential): a memory-only folder that only this service may read.

    It gives the service's user access by an ACL, which shows as a group's read permission in the mode.
    """
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    return bool(directory) and path.parent == Path(str(directory))


def _check(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"the key file {path} is not a regular file")
    if status.st_mode & (0o037 if is_credential(path) else 0o077):
        mode = stat.S_IMODE(status.st_mode)
        raise ConfigError(
            f"others than its owner may access the key file {path} (mode {mode:04o})",
            hint=f"run chmod 0600 {path}, and replace the key if others may have read it",
        )
    if status.st_uid not in (0, os.geteuid()):
        raise ConfigError(
            f"the key file {path} belongs to user {status.st_uid}, not to root or this service's user {os.geteuid()}",
            hint=f"run chown {os.geteuid()} {path}",
        )


def create_private(path: Path, content: Secret) -> None:
    """Write `path` with mode 0600 unless it exists; never leaves a partial file. Raises ConfigError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(temporary, content)
        try:
            os.link(temporary, path)  # unlike rename, fails when somebody else was faster
        except FileExistsError:
            return
        finally:
            os.unlink(temporary)
        sync_directory(path.parent)
    except OSError as error:
        raise ConfigError(
            f"cannot write the key file {path}: {error.strerror}",
            hint="the folder must be writable for the service's user at first start",
        ) from None


def replace_private(path: Path, content: Secret) -> None:
    """Write `path` with mode 0600 in place of what was there, atomically. Raises ConfigError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        _write(temporary, content)
        os.replace(temporary, path)
        sync_directory(path.parent)
    except OSError as error:
        raise ConfigError(f"cannot write the key file {path}: {error.strerror}") from None


def _write(path: Path, content: Secret) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(handle, "wb") as file:
        file.write(content.reveal())
        file.flush()
        os.fsync(handle)


def sync_directory(path: Path) -> None:
    """Make a name just written in the folder `path` survive a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
