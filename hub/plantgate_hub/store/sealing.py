"""Encryption at rest of the few secrets that the database holds; the key is kept apart from it."""

import hashlib
import hmac
import os
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from plantgate_shared.errors import ConfigError
from plantgate_shared.secret import Secret

_NONCE = 12


class Sealer(Protocol):
    def seal(self, secret: bytes, context: str) -> bytes:
        """Encrypt; `context` says what it is and whose, and the same is needed to open it."""

    def open(self, sealed: bytes, context: str) -> bytes: ...

    def digest(self, secret: bytes, context: str) -> str:
        """A keyed hash in hex, for secrets that are only ever compared; worthless without the key."""


class AesSealer:
    """AES-256-GCM with random nonces: good for the few thousand secrets of a fleet many times over."""

    def __init__(self, key: Secret) -> None:
        self._cipher = AESGCM(key.reveal())
        # a key of its own: AES and HMAC never share one
        self._digest_key = HKDF(SHA256(), 32, None, b"plantgate digests").derive(key.reveal())

    def seal(self, secret: bytes, context: str) -> bytes:
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, secret, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], context.encode())
        except InvalidTag:
            raise ConfigError(
                "the database's secrets do not open with this hub's vault key",
                hint="database and keys directory must belong together; restore the vault.key that goes with it",
            ) from None

    def digest(self, secret: bytes, context: str) -> str:
        return hmac.new(self._digest_key, context.encode() + b"\0" + secret, hashlib.sha256).hexdigest()
