"""Cables and bridges between hosts, and each host's addresses and routes.

A veth pair is made inside the namespace of one end with the other end put straight into its host's namespace, by the
pid of the holder: no name ever appears in the machine's own namespace, so labs never clash with it or each other.
"""

import subprocess
from collections.abc import Mapping, Sequence

from .hosts import Host
from .state import LabError
from .topology import Nic, Node


def connect(hosts: Mapping[str, Host], nodes: Sequence[Node]) -> None:
    """Make the links of all nodes, then configure every host."""
    batches: dict[str, list[str]] = {node.name: _bridges(node) for node in nodes}
    for segment in dict.fromkeys(nic.segment for node in nodes for nic in node.nics):
        ends = [(node.name, nic) for node in nodes for nic in node.nics if nic.segment == segment]
        owner = next(((node.name, b) for node in nodes for b in node.bridges if b.segment == segment), None)
        if owner:
            for number, (name, nic) in enumerate(ends):
                batches[owner[0]] += _port(owner[1], number, nic, hosts[name])
        else:
            (one, one_nic), (other, other_nic) = ends
            batches[one].append(_cable(one_nic.name, other_nic.name, hosts[other]))
    for name, lines in batches.items():
        _ip(hosts[name], lines)
    for node in nodes:
        _configure(hosts[node.name], node)


def _bridges(node: Node) -> list[str]:
    return [f"link add {bridge.name} type bridge stp_state 0 mcast_snooping 0" for bridge in node.bridges]


def _cable(name: str, peer: str, peer_host: Host) -> str:
    return f"link add {name} type veth peer name {peer} netns {peer_host.holder.pid}"


def _port(bridge: Nic, number: int, nic: Nic, host: Host) -> list[str]:
    port = f"{bridge.name}p{number}"
    return [_cable(port, nic.name, host), f"link set {port} master {bridge.name} up"]


def _configure(host: Host, node: Node) -> None:
    if node.ruleset:
        host.nft(node.ruleset)
    host.sysctl("net.ipv4.ip_forward", int(node.forwards))
    lines = ["link set lo up"]
    for nic in (*node.bridges, *node.nics):
        if nic.address:
            lines.append(f"address add {nic.address} dev {nic.name}")
        lines.append(f"link set {nic.name} up")
    lines += [f"route add {route}" for route in node.routes]
    if node.gateway:
        lines.append(f"route add default via {node.gateway}")
    _ip(host, lines)


def _ip(host: Host, lines: Sequence[str]) -> None:
    """One `ip -batch` in the host's network. Only that namespace is entered: the peers' pids are this machine's."""
    if not lines:
        return
    command = ["nsenter", "-t", str(host.holder.pid), "-n", "ip", "-batch", "-"]
    done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise LabError(f"{host.name}: ip could not do all of {lines}: {done.stderr.strip()}")
