"""A technician's computer with a stock WireGuard client.

`Technician.up` does what `wg-quick up` does with the configuration that the product handed out: an interface, its
addresses, `wg setconf`, a route for each AllowedIPs. The configuration is taken once and never touched again.
"""

import ipaddress
from collections.abc import Iterable

from tests.eventually import wait_until

from .clients import Client
from .hosts import Host, Process
from .state import LabError

DEFAULT_MTU = 1420  # wg-quick's on an Ethernet of 1500
QUICK_KEYS = frozenset({"address", "dns", "mtu", "table", "preup", "postup", "predown", "postdown", "saveconfig"})
"""Keys that wg-quick understands and `wg setconf` does not (wg-quick(8))."""


def keypair(host: Host) -> tuple[str, str]:
    """A new private key and its public key, made on the host as a person would make them."""
    private = host.run(["wg", "genkey"]).stdout.strip()
    return private, host.run(["wg", "pubkey"], input=private).stdout.strip()


class Technician(Client):
    """A person's computer: every client of `Client`, plus the tunnel."""

    def __init__(self, host: Host, config: str, interface: str = "wg0") -> None:
        super().__init__(host)
        self.config = config
        self.interface = interface
        self._daemon: Process | None = None

    def up(self) -> None:
        """Bring the tunnel up. Raises LabError, CommandFailed."""
        host, name = self.host, self.interface
        self._daemon = make_interface(host, name)
        host.run(["wg", "setconf", name, "/dev/stdin"], input=stripped(self.config))
        mtu = next(iter(values(self.config, "MTU")), DEFAULT_MTU)
        lines = [f"address add {address} dev {name}" for address in values(self.config, "Address")]
        lines.append(f"link set {name} mtu {mtu} up")
        lines += [f"route add {_routable(network)} dev {name}" for network in values(self.config, "AllowedIPs")]
        host.run(["ip", "-batch", "-"], input="\n".join(lines))

    def down(self) -> None:
        """Take the tunnel down; the device's state goes with it. Harmless when it is not up."""
        self.host.run(["ip", "link", "delete", self.interface], check=False)
        if self._daemon:
            self._daemon.stop()
            self._daemon = None

    def handshake(self) -> int:
        """When the last handshake was, in seconds since 1970; 0: never."""
        lines = self.host.run(["wg", "show", self.interface, "latest-handshakes"]).stdout.split()
        return max((int(when) for when in lines[1::2]), default=0)


def make_interface(host: Host, name: str) -> Process | None:
    """A WireGuard interface of the kernel, or of wireguard-go where the kernel has none (its process is returned)."""
    if host.run(["ip", "link", "add", name, "type", "wireguard"], check=False).status == 0:
        return None
    daemon = host.spawn(["wireguard-go", "-f", name], name=f"wireguard-go-{name}", env={"LOG_LEVEL": "error"})

    def there() -> bool:
        if not daemon.running:
            raise LabError(f"wireguard-go ended on {host.name}: {daemon.output()[-500:]}")
        return host.run(["wg", "show", name], check=False).status == 0

    wait_until(there, timeout=10, poll=0.01)
    return daemon


def values(config: str, key: str) -> Iterable[str]:
    """All values of a key in a WireGuard configuration, comma lists split."""
    for line in config.splitlines():
        name, _, value = line.partition("#")[0].partition("=")
        if name.strip().lower() == key.lower():
            yield from filter(None, (part.strip() for part in value.split(",")))


def stripped(config: str) -> str:
    """The configuration without wg-quick's own keys, as `wg-quick strip` prints it."""
    kept = [line for line in config.splitlines() if line.partition("=")[0].strip().lower() not in QUICK_KEYS]
    return "\n".join(kept) + "\n"


def _routable(network: str) -> str:
    if ipaddress.ip_network(network, strict=False).prefixlen == 0:
        raise LabError(f"AllowedIPs {network} would take all traffic; the lab's client has split tunnels only")
    return network
