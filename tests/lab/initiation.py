"""A WireGuard handshake initiation with a timestamp of one's choice, as a gateway with a wrong clock sends it.

Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s, first message; section 5.4.2 of the WireGuard paper.
"""

import base64
import hashlib
import hmac
import os
import struct

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

CONSTRUCTION = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
IDENTIFIER = b"WireGuard v1 zx2c4 Jason@zx2c4.com"
TAI64_EPOCH = 0x400000000000000A


def initiation(private: str, responder: str, seconds: int) -> bytes:
    """The 148 bytes from the owner of `private` to the owner of the public key `responder` (both base64)."""
    static = X25519PrivateKey.from_private_bytes(base64.b64decode(private))
    peer_bytes = base64.b64decode(responder)
    peer = X25519PublicKey.from_public_bytes(peer_bytes)
    ephemeral = X25519PrivateKey.from_private_bytes(os.urandom(32))
    ephemeral_bytes = ephemeral.public_key().public_bytes_raw()

    chain = _hash(CONSTRUCTION)
    digest = _hash(_hash(chain + IDENTIFIER) + peer_bytes)
    (chain,) = _kdf(chain, ephemeral_bytes, 1)
    digest = _hash(digest + ephemeral_bytes)
    chain, key = _kdf(chain, ephemeral.exchange(peer), 2)
    sealed_static = _seal(key, static.public_key().public_bytes_raw(), digest)
    digest = _hash(digest + sealed_static)
    chain, key = _kdf(chain, static.exchange(peer), 2)
    sealed_time = _seal(key, struct.pack(">QI", TAI64_EPOCH + seconds, 0), digest)

    message = struct.pack("<II", 1, 4711) + ephemeral_bytes + sealed_static + sealed_time
    mac1 = hashlib.blake2s(message, digest_size=16, key=_hash(b"mac1----" + peer_bytes)).digest()
    return message + mac1 + bytes(16)


def _hash(data: bytes) -> bytes:
    return hashlib.blake2s(data).digest()


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.blake2s).digest()


def _kdf(key: bytes, data: bytes, count: int) -> list[bytes]:
    secret, output, outputs = _hmac(key, data), b"", []
    for number in range(1, count + 1):
        output = _hmac(secret, output + bytes([number]))
        outputs.append(output)
    return outputs


def _seal(key: bytes, text: bytes, associated: bytes) -> bytes:
    return ChaCha20Poly1305(key).encrypt(bytes(12), text, associated)
