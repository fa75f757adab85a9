"""A table of checks with figures, printed as they are made."""

import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from plantgate_shared.errors import PlantgateError

GREEN, RED, BOLD, DIM, PLAIN = "\033[32m", "\033[31m", "\033[1m", "\033[2m", "\033[0m"


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    holds: bool
    figure: str = ""


@dataclass
class Report:
    """Checks in the order in which they were made."""

    checks: list[Check] = field(default_factory=list)

    def section(self, title: str) -> None:
        self._print(f"\n{self._paint(BOLD, title)}")

    def note(self, text: str) -> None:
        self._print(self._paint(DIM, f"  {text}"))

    def add(self, name: str, holds: bool, figure: str = "") -> bool:
        self.checks.append(Check(name, holds, figure))
        mark = self._paint(GREEN, "ok  ") if holds else self._paint(RED, "FAIL")
        self._print(f"  {mark} {name:<78} {figure}")
        return holds

    async def measure(self, name: str, attempt: Callable[[], Awaitable[object]], bound: float | None = None) -> float:
        """A check that `attempt` succeeds, with the seconds it took; not later than `bound` seconds, if given."""
        began = time.monotonic()
        try:
            await attempt()
        except (AssertionError, OSError, PlantgateError) as error:
            self.add(name, False, " ".join(str(error).split())[-300:])
            return float("inf")
        took = time.monotonic() - began
        self.add(name, bound is None or took <= bound, seconds(took, bound))
        return took

    @property
    def failed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.holds)

    def summary(self) -> str:
        total, failed = len(self.checks), len(self.failed)
        return f"{total} checks hold" if not failed else f"{failed} of {total} checks failed"

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{PLAIN}" if sys.stdout.isatty() else text

    def _print(self, line: str) -> None:
        print(line, flush=True)


def seconds(value: float, bound: float | None = None) -> str:
    text = f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"
    return f"{text} (bound {bound:g} s)" if bound is not None else text
