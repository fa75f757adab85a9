"""The baseline of the VPN figures: the same two WireGuard hops on the `bare` topology, plain routes, no Plantgate."""

from dataclasses import dataclass

from tests.eventually import wait_until
from tests.lab.lab import Lab

MTU = 1380
PLANT, PROFILES = "192.168.1.0/24", "100.64.0.0/10"
TECHNICIAN, HUB_USERS, HUB_AGENTS, GATEWAY = "100.64.0.9", "100.64.0.1", "240.0.0.1", "240.0.0.2"
USERS_PORT, AGENTS_PORT = 51820, 51821


@dataclass(frozen=True, slots=True)
class KeyPair:
    private: str
    public: str


def key_pair(lab: Lab) -> KeyPair:
    private = lab["hub"].run(["wg", "genkey"]).stdout.strip()
    return KeyPair(private, lab["hub"].run(["wg", "pubkey"], input=private + "\n").stdout.strip())


def interface(lab: Lab, host: str, name: str, address: str, keys: KeyPair, port: int, *peer: str) -> None:
    """A WireGuard interface (the kernel's, else wireguard-go's) that is up, with one peer as `wg set` takes it."""
    there = lab[host]
    if there.run(["ip", "link", "add", name, "type", "wireguard"], check=False).status:
        there.spawn(["wireguard-go", "-f", name], name=f"wireguard-go.{name}")
        wait_until(lambda: there.run(["wg", "show", name], check=False).status == 0)
    there.run(
        ["wg", "set", name, "listen-port", str(port), "private-key", "/dev/stdin", "peer", *peer], input=keys.private
    )
    there.run(["ip", "address", "add", address, "dev", name])
    there.run(["ip", "link", "set", name, "mtu", str(MTU), "up"])


def connect(lab: Lab) -> None:
    """Technician, hub and gateway joined by two tunnels; afterwards the technician reaches the plant's devices."""
    technician, users, agents, gateway = (key_pair(lab) for _ in range(4))
    interface(
        lab, "tech", "wg0", f"{TECHNICIAN}/32", technician, 50000,
        users.public, "endpoint", f"198.51.100.10:{USERS_PORT}", "allowed-ips", f"{PLANT},{HUB_USERS}/32",
    )  # fmt: skip
    interface(
        lab, "hub", "wgu", f"{HUB_USERS}/32", users, USERS_PORT,
        technician.public, "allowed-ips", f"{TECHNICIAN}/32",
    )  # fmt: skip
    interface(
        lab, "hub", "wga", f"{HUB_AGENTS}/32", agents, AGENTS_PORT,
        gateway.public, "allowed-ips", f"{PLANT},{GATEWAY}/32",
    )  # fmt: skip
    interface(
        lab, "gateway", "wgh", f"{GATEWAY}/32", gateway, 50001,
        agents.public, "endpoint", f"203.0.113.10:{AGENTS_PORT}", "allowed-ips", PROFILES,
        "persistent-keepalive", "25",
    )  # fmt: skip
    for host, route, name in (
        ("tech", PLANT, "wg0"), ("hub", PLANT, "wga"), ("hub", PROFILES, "wgu"), ("gateway", PROFILES, "wgh"),
    ):  # fmt: skip
        lab[host].run(["ip", "route", "add", route, "dev", name])
    for host in ("hub", "gateway"):
        lab[host].sysctl("net.ipv4.ip_forward", 1)
    # the device answers to its own network only; a real plant's router would know the way back
    lab["device"].run(["ip", "route", "add", PROFILES, "via", "192.168.1.2"])
    wait_until(lambda: lab["tech"].run(["ping", "-c1", "-W1", "192.168.1.10"], check=False).status == 0)
