"""Who a device says it is, on every protocol the same."""

from dataclasses import dataclass

WEB_USER = "service"
WEB_PASSWORD = "sunshine-7"  # of every device's web page and SSH login
SNMP_COMMUNITY = "public"
REGISTERS = 32
"""Holding registers that spell the device's label, two characters each."""


@dataclass(frozen=True, slots=True)
class Identity:
    plant: str
    name: str

    @property
    def label(self) -> str:
        """`north/inverter`"""
        return f"{self.plant}/{self.name}"

    @property
    def registers(self) -> list[int]:
        """The label as Modbus holding registers, two ASCII characters each, as SunSpec devices spell theirs."""
        return encode_label(self.label)


def encode_label(label: str) -> list[int]:
    text = label.encode("ascii").ljust(2 * REGISTERS, b"\0")
    return [int.from_bytes(text[i : i + 2], "big") for i in range(0, 2 * REGISTERS, 2)]


def decode_label(registers: list[int]) -> str:
    return b"".join(register.to_bytes(2, "big") for register in registers).rstrip(b"\0").decode("ascii")
