"""The benchmark runner: it finds benchmarks, names the valid ones, and its exit status tells whether bounds hold."""

import json

import pytest

from tests.bench import __main__ as runner
from tests.bench.registry import BENCHMARKS, Figure, benchmark, discover


@pytest.fixture
def sample(monkeypatch):
    """Register a benchmark that yields the given figures."""
    monkeypatch.setattr("tests.bench.registry.BENCHMARKS", dict(BENCHMARKS))

    def register(*figures: Figure) -> None:
        import tests.bench.registry as registry

        registry.BENCHMARKS["sample"] = registry.Benchmark("sample", "for this test", lambda: iter(figures))

    return register


def test_benchmarks_are_found_and_listed(capsys):
    assert "tunnel-stream" in discover()
    assert runner.main([]) == 0
    assert "tunnel-stream" in capsys.readouterr().out


def test_an_unknown_name_lists_the_valid_ones(capsys):
    assert runner.main(["tunnel-steam"]) == 2
    error = capsys.readouterr().err
    assert "'tunnel-steam'" in error
    assert "tunnel-stream" in error


@pytest.mark.parametrize(("value", "status"), [(80.0, 0), (60.0, 1)])
def test_the_exit_status_tells_whether_the_bound_holds(sample, capsys, value, status):
    sample(Figure.compared("sample", value, "MB/s", baseline=100.0, at_least=0.7, spread=[0.123456, 1]))
    assert runner.main(["sample"]) == status
    assert json.loads(capsys.readouterr().out) == {
        "name": "sample",
        "value": value,
        "unit": "MB/s",
        "baseline": 100.0,
        "ratio": value / 100,
        "bound": "ratio >= 0.7",
        "holds": status == 0,
        "spread": [0.1235, 1],
    }


def test_a_figure_without_a_bound_holds():
    assert Figure.plain("memory", 41.0, "MiB").as_json()["holds"] is True
    assert Figure.plain("memory", 41.0, "MiB", at_most=40).holds is False
    assert Figure.plain("memory", 41.0, "MiB", at_least=40, at_most=45).bound == "value >= 40 and value <= 45"


def test_a_name_is_taken_once(sample):
    sample()
    with pytest.raises(ValueError, match="two benchmarks are called 'sample'"):
        benchmark("sample", "again")(lambda: iter(()))
