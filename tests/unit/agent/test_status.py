"""The status file: whole, fresh or not believed, and readable for people."""

import json
import subprocess
import sys
import time

import pytest

from plantgate_agent import status
from plantgate_agent.status import NotRunning

DOCUMENT = {
    "plant": "North",
    "hub": "https://hub.example",
    "connected": True,
    "problem": "",
    "path": "udp",
    "path_reason": "UDP gets through",
    "handshake_age": 12.4,
    "boundary": ["192.168.1.0/24"],
    "accepted": ["192.168.1.0/24"],
    "revision": 7,
    "refused": [{"network": "10.0.0.0/8", "reason": "it lies outside the gateway's boundary"}],
    "streams": 2,
    "error": "",
    "warnings": ["something is odd"],
}


def test_what_is_written_is_read(tmp_path):
    status.write(tmp_path, DOCUMENT)
    document = status.read(tmp_path)
    assert DOCUMENT.items() <= document.items()
    assert 0 <= document["age"] < 5
    assert [path.name for path in tmp_path.iterdir()] == [status.FILE]


def test_for_people(tmp_path):
    text = status.render(DOCUMENT)
    assert "hub        https://hub.example: connected" in text
    assert "path       udp (UDP gets through)" in text
    assert "wireguard  last handshake 12 s ago" in text
    assert "refused    10.0.0.0/8: it lies outside the gateway's boundary" in text
    assert "warning    something is odd" in text
    away = status.render(DOCUMENT | {"connected": False, "problem": "nothing listens there", "handshake_age": None})
    assert "not connected: nothing listens there" in away
    assert "no handshake yet" in away


def test_what_a_killed_worker_left_is_not_believed(tmp_path):
    imports = "from pathlib import Path; from plantgate_agent import status"
    writing = f"{imports}; status.write(Path({str(tmp_path)!r}), {DOCUMENT!r})"
    subprocess.run([sys.executable, "-c", writing], check=True)
    with pytest.raises(NotRunning, match="without a farewell"):
        status.read(tmp_path)


def test_no_file_an_old_one_and_a_broken_one_mean_not_running(tmp_path):
    with pytest.raises(NotRunning, match="is not running"):
        status.read(tmp_path)
    old = {**DOCUMENT, "boottime": time.clock_gettime(time.CLOCK_BOOTTIME) - 60}
    (tmp_path / status.FILE).write_text(json.dumps(old))
    with pytest.raises(NotRunning, match="gave its last status 60 s ago"):
        status.read(tmp_path)
    (tmp_path / status.FILE).write_text("{")
    with pytest.raises(NotRunning, match="cannot be read"):
        status.read(tmp_path)
    status.clear(tmp_path)
    status.clear(tmp_path)
