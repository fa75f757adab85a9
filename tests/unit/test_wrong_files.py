"""A wrong configuration file, as the person who started the command sees it: one line, and the status for it."""

import sys
from pathlib import Path

import pytest

from plantgate_agent import cli as agent
from plantgate_hub.cli.main import main as hub

ALIKE = [
    pytest.param("pools:\n  profile: x\n", "pools: unknown key 'profile' (did you mean 'profiles'?)", id="unknown key"),
    pytest.param("pools: [\n", "is not valid YAML at line 2", id="no YAML"),
    pytest.param("- a\n- b\n", "must be a mapping of keys, not a list", id="no mapping"),
    pytest.param("pools:\n  aliases: 7\n", "pools.aliases must be text, not 7", id="wrong type"),
    pytest.param(
        "pools:\n  aliases: 100.64.0.0/16\n",
        "pools: the pools profiles (100.64.0.0/10) and aliases (100.64.0.0/16) overlap",
        id="overlapping pools",
    ),
    pytest.param(
        "pools:\n  aliases: 198.18.0.1/15\n",
        "'198.18.0.1/15' is not a network address (did you mean 198.18.0.0/15?)",
        id="no network address",
    ),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "wrong.yaml"


@pytest.mark.parametrize(("text", "words"), ALIKE)
def test_hub(file: Path, text: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    file.write_text(text)
    monkeypatch.setattr(sys, "argv", ["plantgate-hub", "serve", "--config", str(file)])
    with pytest.raises(SystemExit) as ended:
        hub()
    assert ended.value.code == 78
    one_line(capsys.readouterr().err, f"plantgate-hub: {file}", words)


@pytest.mark.parametrize(("text", "words"), ALIKE)
def test_agent(file: Path, text: str, words: str, capsys: pytest.CaptureFixture[str]):
    file.write_text(text)
    for command in ("run", "status", "boundary"):
        assert agent.main([command, "--config", str(file)]) == 78
        one_line(capsys.readouterr().err, f"plantgate-agent: {file}", words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- 192.168.1.7/24\n", "entry 1: '192.168.1.7/24' is not a network address (did you mean 192.168.1.0/24?)"),
        ("- 0.0.0.0/0\n", "entry 1: 0.0.0.0/0 cannot be reached through a gateway: it is the default route"),
        ("- 100.64.1.0/24\n", "it overlaps the hub's pool profiles (100.64.0.0/10)"),
        ("plant: north\n", "must be a list of networks (one line each, like: - 192.168.1.0/24)"),
    ],
)
def test_boundary(tmp_path: Path, text: str, words: str, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "agent.yaml").write_text(f"boundary_file: {tmp_path}/boundary.yaml\n")
    (tmp_path / "boundary.yaml").write_text(text)
    assert agent.main(["boundary", "--config", str(tmp_path / "agent.yaml")]) == 78
    one_line(capsys.readouterr().err, f"plantgate-agent: {tmp_path}/boundary.yaml", words)


def one_line(errors: str, *words: str) -> None:
    assert errors.count("\n") == 1, errors
    for word in words:
        assert word in errors
