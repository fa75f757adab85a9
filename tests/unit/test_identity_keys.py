"""Key files: made once, read back, and refused with a clear error when something about them is wrong."""

import base64
import os
import stat
import subprocess
from pathlib import Path

import pytest

from plantgate_shared.errors import ConfigError
from plantgate_shared.identity import keys
from plantgate_shared.secret import Secret

LOADERS = {
    "identity": keys.load_or_create_identity,
    "wireguard": keys.load_or_create_wireguard,
    "secret": keys.load_or_create_secret,
}


@pytest.mark.parametrize("kind", LOADERS)
def test_a_key_is_made_once_and_read_back(kind: str, tmp_path: Path):
    path = tmp_path / "keys" / "a.key"
    LOADERS[kind](path)
    first = path.read_bytes()
    LOADERS[kind](path)
    assert path.read_bytes() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == ["a.key"], "no temporary file stays"


@pytest.mark.parametrize("kind", LOADERS)
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o620])
def test_a_file_that_others_may_access_is_refused(kind: str, mode: int, tmp_path: Path):
    path = tmp_path / "a.key"
    LOADERS[kind](path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"others than its owner.*mode 0{mode:o}.*chmod 0600"):
        LOADERS[kind](path)


@pytest.mark.parametrize("kind", LOADERS)
@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"not a key\n", "does not hold"),
        (base64.b64encode(b"short") + b"\n", "does not hold"),
        (b"\xff\xfe\x00binary", "does not hold"),
        (b"A" * 5000, "longer than 4096 bytes"),
    ],
)
def test_a_file_that_is_no_key_is_refused_and_kept(kind: str, content: bytes, cause: str, tmp_path: Path):
    path = tmp_path / "a.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=cause):
        LOADERS[kind](path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("kind", LOADERS)
def test_an_error_never_shows_the_content(kind: str, tmp_path: Path):
    path = tmp_path / "a.key"
    path.write_bytes(b"hunter2hunter2")
    path.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        LOADERS[kind](path)
    assert "hunter2" not in str(caught.value)


def test_links_and_folders_are_refused(tmp_path: Path):
    real = tmp_path / "real.key"
    keys.load_or_create_secret(real)
    (tmp_path / "link.key").symlink_to(real)
    (tmp_path / "folder.key").mkdir()
    with pytest.raises(ConfigError, match="not a link"):
        keys.load_or_create_secret(tmp_path / "link.key")
    with pytest.raises(ConfigError, match="regular file"):
        keys.load_or_create_secret(tmp_path / "folder.key")


def test_a_key_of_another_kind_is_named(tmp_path: Path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

    path = tmp_path / "a.key"
    pem = generate_private_key(SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(pem)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="another kind than Ed25519"):
        keys.load_or_create_identity(path)


def test_systemd_credentials_may_show_group_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.key"
    keys.load_or_create_secret(path)
    path.chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    keys.load_or_create_secret(path)
    path.chmod(0o444)
    with pytest.raises(ConfigError, match="others than its owner"):
        keys.load_or_create_secret(path)


def test_wireguard_keys_are_what_wg_makes_of_them():
    key = keys.WireGuardKey.generate()
    public = subprocess.run(["wg", "pubkey"], input=key.private.reveal(), capture_output=True, check=True).stdout
    assert public.decode().strip() == key.public
    assert keys.WireGuardKey.from_base64(key.private.reveal().decode()) == key


@pytest.mark.parametrize("text", ["", "AAAA", "A" * 44, "!" * 44, base64.b64encode(b"x" * 33).decode(), "é" * 44])
def test_what_is_no_wireguard_key_is_refused(text: str):
    with pytest.raises(ValueError):
        keys.decode_wireguard(text)


def test_secrets_do_not_show():
    identity, wireguard = keys.IdentityKey.generate(), keys.WireGuardKey.generate()
    assert wireguard.private.reveal().decode() not in repr(wireguard)
    assert repr(identity) == f"IdentityKey({keys.fingerprint(identity.public)})"
    assert "PRIVATE" not in repr(identity.pem())


def test_signatures():
    identity = keys.IdentityKey.generate()
    signature = identity.sign(b"message")
    assert keys.verify(identity.public, signature, b"message")
    assert not keys.verify(identity.public, signature, b"messagf")
    assert not keys.verify(keys.IdentityKey.generate().public, signature, b"message")
    assert not keys.verify(b"short", signature, b"message")
    assert not keys.verify(identity.public, b"", b"message")


def test_replacing_a_key_keeps_the_mode(tmp_path: Path):
    path = tmp_path / "a.key"
    keys.load_or_create_secret(path)
    new = keys.WireGuardKey.generate().private
    keys.replace_private(path, new)
    assert path.read_bytes() == new.reveal()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_processes_starting_at_once_agree_on_one_key(tmp_path: Path):
    path = tmp_path / "a.key"
    other = keys.WireGuardKey.generate().private

    def make() -> Secret:
        keys.create_private(path, other)  # somebody else is faster
        return keys.WireGuardKey.generate().private

    assert keys.load_or_create(path, make) == other
