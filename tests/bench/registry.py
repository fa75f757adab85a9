"""Benchmarks register themselves here; `python -m tests.bench` finds and runs them.

A benchmark is a function that yields `Figure`s:

    @benchmark("tunnel-stream", "bytes/s of one stream against a bare websocket")
    def tunnel_stream() -> Iterator[Figure]:
        yield Figure.compared("tunnel-stream plain", value, "MB/s", baseline=bare, at_least=0.7)

Any module in this folder that does so is found by itself.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

BENCHMARKS: dict[str, "Benchmark"] = {}


@dataclass(frozen=True)
class Figure:
    """One measured figure, and whether it keeps its bound."""

    name: str
    value: float
    unit: str
    baseline: float | None = None
    """What the same run measured without us."""
    ratio: float | None = None
    """value / baseline."""
    bound: str = ""
    """The bound in words, such as `ratio >= 0.7`; empty when there is none."""
    holds: bool = True
    extra: dict[str, Any] = field(default_factory=dict)
    """More keys of the printed object: median, spread, what the figure is made of."""

    @classmethod
    def compared(
        cls,
        name: str,
        value: float,
        unit: str,
        *,
        baseline: float,
        ratio: float | None = None,
        at_least: float | None = None,
        at_most: float | None = None,
        **extra: Any,
    ) -> "Figure":
        """A figure whose bound is on its ratio to `baseline`. `ratio` where it is not simply value / baseline, such as
        the median of the ratios of interleaved pairs."""
        ratio = value / baseline if ratio is None else ratio
        bound, holds = _bound("ratio", ratio, at_least, at_most)
        return cls(name, value, unit, baseline, ratio, bound, holds, extra)

    @classmethod
    def plain(
        cls,
        name: str,
        value: float,
        unit: str,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        **extra: Any,
    ) -> "Figure":
        """A figure whose bound is on its value."""
        bound, holds = _bound("value", value, at_least, at_most)
        return cls(name, value, unit, None, None, bound, holds, extra)

    def as_json(self) -> dict[str, Any]:
        """The printed object."""
        return {
            "name": self.name,
            "value": _short(self.value),
            "unit": self.unit,
            "baseline": _short(self.baseline),
            "ratio": _short(self.ratio),
            "bound": self.bound or None,
            "holds": self.holds,
            **{key: _short(value) for key, value in self.extra.items()},
        }


@dataclass(frozen=True)
class Benchmark:
    name: str
    summary: str
    run: Callable[[], Iterable[Figure]]


def benchmark(name: str, summary: str) -> Callable[[Callable[[], Iterable[Figure]]], Callable[[], Iterable[Figure]]]:
    """Register the decorated function as the benchmark `name`."""

    def register(function: Callable[[], Iterable[Figure]]) -> Callable[[], Iterable[Figure]]:
        if name in BENCHMARKS:
            raise ValueError(f"two benchmarks are called {name!r}")
        BENCHMARKS[name] = Benchmark(name, summary, function)
        return function

    return register


def discover() -> dict[str, Benchmark]:
    """Every benchmark of this folder, by name."""
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        if module.name != "__main__":
            importlib.import_module(f"{__package__}.{module.name}")
    return dict(sorted(BENCHMARKS.items()))


def _bound(what: str, value: float, at_least: float | None, at_most: float | None) -> tuple[str, bool]:
    parts = []
    if at_least is not None:
        parts.append(f"{what} >= {at_least:g}")
    if at_most is not None:
        parts.append(f"{what} <= {at_most:g}")
    holds = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
    return " and ".join(parts), holds


def _short(value: Any) -> Any:
    """Four significant digits are more than any of our figures is exact to."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, list | tuple):
        return [_short(item) for item in value]
    return value
