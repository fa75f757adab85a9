"""What a gateway keeps from its enrolment: who it is and which hub it pinned; and where its keys are."""

import base64
import contextlib
import dataclasses
import fcntl
import json
import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from plantgate_shared.errors import ConfigError, Conflict, InvalidInput
from plantgate_shared.identity.handshake import PinnedHub
from plantgate_shared.identity.keys import (
    IdentityKey,
    WireGuardKey,
    load_or_create_identity,
    load_or_create_wireguard,
    replace_private,
)
from plantgate_shared.secret import Secret

ENROLMENT_FILE = "enrolment.json"
IDENTITY_FILE = "identity.key"
WIREGUARD_FILE = "wireguard.key"
SUCCESSOR_FOLDER = "successor"
DEFAULT_PORT = 443


@dataclass(frozen=True, slots=True)
class HubUrl:
    """Where the hub listens for agents."""

    host: str
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}" + ("" if self.port == DEFAULT_PORT else f":{self.port}")

    @property
    def authority(self) -> str:
        return str(self).removeprefix("https://")


def parse_hub_url(text: str) -> HubUrl:
    """`https://NAME[:PORT]`, or the same without scheme. Raises InvalidInput."""
    example = "write it like https://hub.example.com"
    full = text.strip() if "://" in text else f"https://{text.strip()}"
    try:
        parts = urlsplit(full)
        port = parts.port
    except ValueError:
        raise InvalidInput(f"{text!r} is not a hub's address", hint=example) from None
    if parts.scheme != "https":
        raise InvalidInput(f"the hub's address {text!r} must begin with https://", hint=example)
    if not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment or parts.username:
        raise InvalidInput(f"{text!r} is not a hub's address", hint=f"{example}, with no path")
    return HubUrl(parts.hostname, DEFAULT_PORT if port is None else port)


@dataclass(frozen=True, slots=True)
class Enrolment:
    hub: HubUrl
    agent_id: str
    epoch: int
    plant_name: str
    pinned: PinnedHub


class StateDirectory:
    """The gateway's private folder. Everything in it belongs to the worker's user, who alone may read it."""

    def __init__(self, path: Path, owner: str) -> None:
        self.path = path
        self._owner = owner

    def enrolled(self) -> bool:
        """Raises ConfigError when that cannot be seen."""
        try:
            return (self.path / ENROLMENT_FILE).exists()
        except OSError as error:
            raise ConfigError(f"cannot look into {self.path}: {error.strerror}", hint="run it as root") from None

    def enrolment(self) -> Enrolment:
        """Raises ConfigError when the gateway is not enrolled or the file is damaged."""
        path = self.path / ENROLMENT_FILE
        try:
            # No secret, and root reads it too, though it belongs to the worker.
            document = json.loads(path.read_text(encoding="utf-8"))
            return Enrolment(
                parse_hub_url(document["hub"]),
                document["agent_id"],
                int(document["epoch"]),
                document["plant_name"],
                PinnedHub(document["hub_name"], base64.b64decode(document["hub_key"], validate=True)),
            )
        except FileNotFoundError:
            raise ConfigError(
                "this gateway is not enrolled", hint="run: plantgate-agent enroll --hub URL --code CODE"
            ) from None
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror}", hint="run it as root") from None
        except (ValueError, KeyError, TypeError, InvalidInput) as error:
            raise ConfigError(
                f"{path} is damaged: {error}", hint="enrol anew with: plantgate-agent enroll --replace ..."
            ) from None

    def save(self, enrolment: Enrolment) -> None:
        document = {
            "hub": str(enrolment.hub),
            "agent_id": enrolment.agent_id,
            "epoch": enrolment.epoch,
            "plant_name": enrolment.plant_name,
            "hub_name": enrolment.pinned.name,
            "hub_key": base64.b64encode(enrolment.pinned.key).decode(),
        }
        replace_private(self.path / ENROLMENT_FILE, Secret(json.dumps(document, indent=1).encode() + b"\n"))

    def raise_epoch(self, epoch: int) -> None:
        """Keep a newer epoch that the pinned hub proved."""
        known = self.enrolment()
        if epoch > known.epoch:
            self.save(dataclasses.replace(known, epoch=epoch))

    def identity(self) -> IdentityKey:
        return load_or_create_identity(self.path / IDENTITY_FILE)

    def wireguard(self) -> WireGuardKey:
        return load_or_create_wireguard(self.path / WIREGUARD_FILE)

    def prepare(self) -> None:
        """Make the folder if it is not there. Raises ConfigError."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
        except OSError as error:
            raise ConfigError(
                f"cannot use the state folder {self.path}: {error.strerror}", hint="run as root, or change state_dir"
            ) from None

    def lock(self) -> int:
        """Claim the gateway for one running agent: two would take the tunnel and the rules from each other.

        The descriptor holds the claim, also in a program that takes this one's place. Raises Conflict, ConfigError.
        """
        try:
            folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise ConfigError(f"cannot open {self.path}: {error.strerror}", hint="run it as root") from None
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(folder)
            raise Conflict(
                "this gateway's agent is running already",
                hint="see: plantgate-agent status; stop it with: systemctl stop plantgate-agent",
            ) from None
        os.set_inheritable(folder, True)
        return folder

    def hand_over(self) -> None:
        """Give folder and files to the worker's user, where we are root and there is such a user."""
        give_to(self._owner, self.path, *self.path.iterdir())

    def successor(self) -> "StateDirectory":
        """Where keys and enrolment of another hub or plant are made. The present ones stay good until it has them, and
        a command that is repeated after a lost answer finds the same keys there."""
        return StateDirectory(self.path / SUCCESSOR_FOLDER, self._owner)

    def take_over(self, successor: "StateDirectory") -> None:
        """Give up what is here for what the successor holds."""
        (self.path / ENROLMENT_FILE).unlink(missing_ok=True)
        for name in (IDENTITY_FILE, WIREGUARD_FILE, ENROLMENT_FILE):  # enrolled again once all of it is here
            (successor.path / name).replace(self.path / name)
        successor.path.rmdir()


def give_to(user: str, *paths: Path) -> None:
    if os.geteuid() != 0:
        return
    with contextlib.suppress(KeyError):
        entry = pwd.getpwnam(user)
        for path in paths:
            os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
