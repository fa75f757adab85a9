"""A type for secrets whose representation hides them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Secret:
    """Bytes that no log, error or trace may show; `reveal()` is the one way to them, easy to search for."""

    _value: bytes

    def reveal(self) -> bytes:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__
