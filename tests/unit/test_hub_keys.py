"""The hub's keys directory: made at first start, kept, checked; systemd credentials come first."""

import base64
import os
import stat
from pathlib import Path

import pytest

from plantgate_hub import keys
from plantgate_shared.errors import ConfigError
from plantgate_shared.identity.keys import WireGuardKey


def test_keys_are_made_once_with_tight_permissions(tmp_path: Path):
    directory = tmp_path / "deep" / "keys"
    first = keys.load_or_create(directory)
    again = keys.load_or_create(directory)
    assert first.fingerprints() == again.fingerprints()
    assert first.vault == again.vault
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == dict.fromkeys(
        [keys.USERS_KEY, keys.AGENTS_KEY, keys.IDENTITY_KEY, keys.VAULT_KEY, keys.AUDIT_KEY], 0o600
    )


def test_no_two_keys_are_the_same_and_none_shows(tmp_path: Path):
    made = keys.load_or_create(tmp_path / "keys")
    assert len(set(made.fingerprints().values())) == 4
    shown = repr(made) + str(made.fingerprints())
    for secret in (made.vault, made.wireguard_users.private, made.wireguard_agents.private):
        assert secret.reveal().decode("latin-1") not in shown
        assert base64.b64encode(secret.reveal()).decode() not in shown


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
def test_a_directory_that_others_may_enter_is_refused(mode: int, tmp_path: Path):
    directory = tmp_path / "keys"
    directory.mkdir()
    directory.chmod(mode)
    with pytest.raises(ConfigError, match=f"others than its owner may enter .*mode 0{mode:o}.*chmod 0700"):
        keys.load_or_create(directory)


def test_a_directory_that_is_a_file_is_refused(tmp_path: Path):
    (tmp_path / "keys").write_text("")
    with pytest.raises(ConfigError, match="cannot use the keys directory"):
        keys.load_or_create(tmp_path / "keys")


def test_systemd_credentials_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    given = WireGuardKey.generate()
    (credentials / keys.USERS_KEY).write_bytes(given.private.reveal())
    (credentials / keys.USERS_KEY).chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    loaded = keys.load_or_create(tmp_path / "keys")
    assert loaded.wireguard_users == given
    assert not (tmp_path / "keys" / keys.USERS_KEY).exists()
    assert (tmp_path / "keys" / keys.AGENTS_KEY).exists()
    assert os.listdir(credentials) == [keys.USERS_KEY], "nothing is ever written to the credentials"


def test_rotating_the_agents_key_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    before = keys.load_or_create(tmp_path / "keys")
    new = keys.rotate_agents_key(tmp_path / "keys")
    after = keys.load_or_create(tmp_path / "keys")
    assert after.wireguard_agents == new != before.wireguard_agents
    assert (after.wireguard_users, after.vault) == (before.wireguard_users, before.vault)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "keys"))
    with pytest.raises(ConfigError, match="systemd credential"):
        keys.rotate_agents_key(tmp_path / "keys")
