"""The hub's private keys: one folder apart from the database, or systemd credentials (docs/security.md#keys)."""

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from plantgate_shared.errors import ConfigError
from plantgate_shared.identity import keys
from plantgate_shared.identity.keys import IdentityKey, WireGuardKey, fingerprint
from plantgate_shared.secret import Secret

USERS_KEY = "wireguard-users.key"
AGENTS_KEY = "wireguard-agents.key"
IDENTITY_KEY = "hub-identity.key"
VAULT_KEY = "vault.key"
AUDIT_KEY = "audit.key"

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class HubKeys:
    """All private keys of a hub but those of TLS (see `tls`). One set for the whole fleet of nodes."""

    wireguard_users: WireGuardKey
    """Of pg-users; its public half stands in every person's configuration file."""
    wireguard_agents: WireGuardKey
    """Of pg-agents; agents get its public half through the tunnel."""
    identity: IdentityKey
    """Proves the hub to its agents; they pin it at enrolment."""
    vault: Secret
    """32 bytes; encrypts the keys of the credential vault."""
    audit: IdentityKey
    """Signs the audit's daily seals."""

    def fingerprints(self) -> Mapping[str, str]:
        """What people compare, by file name. The vault key has none: a hash of a secret is not for showing."""
        return {
            USERS_KEY: self.wireguard_users.public,
            AGENTS_KEY: self.wireguard_agents.public,
            IDENTITY_KEY: fingerprint(self.identity.public),
            AUDIT_KEY: fingerprint(self.audit.public),
        }


def load_or_create(directory: Path) -> HubKeys:
    """The hub's keys; absent ones are made in `directory`. A systemd credential of the same name takes precedence.

    Raises ConfigError.
    """
    open_directory(directory)

    def key(name: str, load: Callable[[Path], K]) -> K:
        return load(_credential(name) or directory / name)

    return HubKeys(
        wireguard_users=key(USERS_KEY, keys.load_or_create_wireguard),
        wireguard_agents=key(AGENTS_KEY, keys.load_or_create_wireguard),
        identity=key(IDENTITY_KEY, keys.load_or_create_identity),
        vault=key(VAULT_KEY, keys.load_or_create_secret),
        audit=key(AUDIT_KEY, keys.load_or_create_identity),
    )


def rotate_agents_key(directory: Path) -> WireGuardKey:
    """Put a new key in place of that of pg-agents; the hub takes it at its next start and tells every agent.

    Raises ConfigError.
    """
    if _credential(AGENTS_KEY):
        raise ConfigError(
            f"{AGENTS_KEY} is a systemd credential and cannot be replaced here",
            hint="replace it where LoadCredential reads it from, then restart the hub",
        )
    open_directory(directory)
    key = WireGuardKey.generate()
    keys.replace_private(directory / AGENTS_KEY, Secret(key.private.reveal() + b"\n"))
    return key


def open_directory(directory: Path) -> None:
    """Make the keys directory, or check that only its owner may enter it. Raises ConfigError."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.stat()
    except OSError as error:
        raise ConfigError(
            f"cannot use the keys directory {directory}: {error.strerror}",
            hint="create it with mode 0700 for the hub's user, or name another as keys.directory",
        ) from None
    if status.st_mode & 0o077:
        raise ConfigError(
            f"others than its owner may enter the keys directory {directory} (mode {stat.S_IMODE(status.st_mode):04o})",
            hint=f"run chmod 0700 {directory}, and replace the keys if others may have read them",
        )
    if status.st_uid not in (0, os.geteuid()):
        raise ConfigError(
            f"the keys directory {directory} belongs to user {status.st_uid}, not to root or the hub's {os.geteuid()}",
            hint=f"run chown -R {os.geteuid()} {directory}",
        )


def _credential(name: str) -> Path | None:
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(directory) / name if directory else None
    return path if path and path.exists() else None
