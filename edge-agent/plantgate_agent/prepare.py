"""What has to be there before the worker runs without root: its folders, and a place for wireguard-go's socket."""

import os
import pwd
from pathlib import Path

from plantgate_shared.errors import ConfigError

from .config import AgentConfig
from .state import StateDirectory, give_to

_WIREGUARD_SOCKETS = Path("/run/wireguard")
_WIREGUARD_MODULE = Path("/sys/module/wireguard")


def prepare(config: AgentConfig) -> int:
    """The descriptor that holds the gateway for this agent (see `StateDirectory.lock`).

    Raises ConfigError, also when the gateway is not enrolled, and Conflict when its agent is running already.
    """
    state = StateDirectory(config.state_dir, config.worker_user)
    state.enrolment()
    lock = state.lock()
    state.hand_over()
    try:
        config.run_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
        give_to(config.worker_user, config.run_dir, *config.run_dir.iterdir())
    except OSError as error:
        raise ConfigError(f"cannot use the run folder {config.run_dir}: {error.strerror}") from None
    if not _WIREGUARD_MODULE.exists():
        _let_wireguard_go_in(config.worker_user)
    return lock


def _let_wireguard_go_in(user: str) -> None:
    """wireguard-go and `wg` meet in one folder whose place is fixed; root's own interfaces stay root's."""
    if os.geteuid() != 0:
        return
    try:
        group = pwd.getpwnam(user).pw_gid
    except KeyError:
        return
    _WIREGUARD_SOCKETS.mkdir(mode=0o770, exist_ok=True)
    os.chown(_WIREGUARD_SOCKETS, 0, group)
    _WIREGUARD_SOCKETS.chmod(0o770)
