"""Reading what `wg`, nftables and connection tracking say, and their errors."""

import struct
from ipaddress import IPv4Address, ip_network

import pytest

from plantgate_shared.errors import KernelError
from plantgate_shared.kernel import commands, conntrack, nftables, wireguard
from plantgate_shared.netplan import Peer, SetPeer

KEY = "A" * 43 + "="


def test_a_dump_becomes_a_state() -> None:
    dump = f"private\tpublic\t51820\toff\n{KEY}\t(none)\t[2001:db8::1]:7\t10.0.0.0/8,fd00::5/128\t17\t1\t2\t25\n"
    state = wireguard.parse_dump(dump + "B\t(none)\t(none)\t(none)\t0\t0\t0\toff\n")
    assert (state.public_key, state.port) == ("public", 51820)
    assert state.peers[KEY] == Peer(frozenset({ip_network("10.0.0.0/8"), ip_network("fd00::5")}), "[2001:db8::1]:7", 25)
    assert (state.peers[KEY].latest_handshake, state.peers[KEY].rx, state.peers[KEY].tx) == (17, 1, 2)
    assert state.peers["B"] == Peer()


def test_an_interface_without_a_key_has_no_public_key() -> None:
    assert wireguard.parse_dump("(none)\t(none)\t0\toff\n").public_key == ""


def test_a_peer_section_names_everything_that_is_desired() -> None:
    section = wireguard._peer_section(SetPeer(KEY, frozenset({ip_network("10.0.0.0/8")}), "192.0.2.1:5", 0))
    assert section.split("\n")[:5] == [
        "[Peer]",
        f"PublicKey = {KEY}",
        "AllowedIPs = 10.0.0.0/8",
        "Endpoint = 192.0.2.1:5",
        "PersistentKeepalive = off",
    ]


async def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(KernelError, match=r"cannot read peers: the command wg is not installed.*wireguard-tools"):
        await commands.run("wg", "show", operation="read peers")


async def test_a_failing_program_is_quoted() -> None:
    with pytest.raises(KernelError, match="cannot try it: sh said this"):
        await commands.run("sh", "-c", "echo sh said this >&2; exit 3", operation="try it")


async def test_input_of_any_size_reaches_a_program_that_opens_it_by_name() -> None:
    data = b"x" * 200_000
    assert await commands.run("cat", "/dev/stdin", operation="copy", stdin=data) == data.decode()


async def test_a_program_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "TIMEOUT", 0.05)
    with pytest.raises(KernelError, match="did not end within"):
        await commands.run("sleep", "60", operation="wait")


def test_an_nftables_error_names_command_cause_and_remedy() -> None:
    complaint = (
        "internal:0:0-0: Error: Could not process rule: No such file or directory\n"
        "delete element ip plantgate allowed { 100.64.0.5 . 1 }\n                                    ^^^^^^^\n"
    )
    error = nftables._error("many commands", complaint)
    assert error.message == (
        "nftables refused 'delete element ip plantgate allowed { 100.64.0.5 . 1 }': "
        "Could not process rule: No such file or directory"
    )
    assert "full pass" in error.hint


def test_a_long_batch_is_not_repeated_in_full() -> None:
    assert len(nftables._error("add element " * 10_000, "").message) < 300


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def flow_entry(protocol: int, ports: bytes) -> bytes:
    def ends(one: str, other: str) -> bytes:
        addresses = attribute(1, IPv4Address(one).packed) + attribute(2, IPv4Address(other).packed)
        return attribute(0x8001, addresses) + attribute(0x8002, attribute(1, bytes([protocol])) + ports)

    original = attribute(0x8001, ends("100.64.0.5", "192.168.1.10"))
    reply = attribute(0x8002, ends("240.16.1.10", "100.64.0.5"))
    return b"\x02\0\0\0" + original + reply + attribute(3, bytes(4)) + attribute(12, b"\1\2\3\4")


PORTS = attribute(2, (40000).to_bytes(2, "big")) + attribute(3, (80).to_bytes(2, "big"))
ECHO = attribute(4, b"\0\7") + attribute(5, b"\x08") + attribute(6, b"\0")


@pytest.mark.parametrize(("protocol", "ports"), [(6, PORTS), (17, PORTS), (1, ECHO)])
def test_a_tracked_flow_is_seen_from_both_ends(protocol: int, ports: bytes) -> None:
    flow = conntrack.decode(flow_entry(protocol, ports))
    assert flow is not None
    assert [str(end) for end in flow[:4]] == ["100.64.0.5", "192.168.1.10", "240.16.1.10", "100.64.0.5"]
    assert flow.protocol == protocol
    assert (flow.source_port, flow.destination_port) == ((0, 0) if protocol == 1 else (40000, 80))


def test_both_decoders_see_the_same() -> None:
    entry = flow_entry(6, PORTS)
    assert conntrack._decode_usual(entry) == conntrack._decode_any(entry)


def test_a_flow_is_named_to_the_kernel_by_its_original_tuple_and_id() -> None:
    handle = conntrack._handle(flow_entry(6, PORTS))
    assert handle == flow_entry(6, PORTS)[4:56] + attribute(12, b"\1\2\3\4")


def test_other_families_are_not_ours() -> None:
    assert conntrack.decode(b"\x0a" + flow_entry(6, PORTS)[1:]) is None


def test_a_closed_nftables_context_is_an_error_and_no_crash() -> None:
    """libnftables takes the whole process down when it is given a context that was freed."""
    context = nftables.Nftables()
    context.close()
    with pytest.raises(KernelError, match="its context is closed"):
        context.run_here("list tables")
    context.close()
