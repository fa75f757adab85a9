"""`plantgate-hub admin` and `db`, as a shell sees them: answers, errors and exit statuses."""

import json
import os
import re
import sys
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from plantgate_hub.cli import main
from plantgate_hub.cli.moments import parse_moment, parse_span
from plantgate_hub.store.migrate import NEWEST
from plantgate_shared.errors import InvalidInput
from plantgate_shared.identity.keys import WireGuardKey

TOM = "tom@north.example"


@dataclass
class Shell:
    """Runs commands in this process."""

    capsys: Any
    monkeypatch: Any
    config: str

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """(exit status, standard output, standard error)"""
        self.monkeypatch.setattr(sys, "argv", ["plantgate-hub", *arguments, "--config", self.config])
        with pytest.raises(SystemExit) as ended:
            main()
        output = self.capsys.readouterr()
        return int(ended.value.code or 0), output.out, output.err

    def admin(self, *arguments: str) -> Any:
        status, out, err = self.run("admin", *arguments, "--json")
        assert status == 0, err
        return json.loads(out)

    def refused(self, *arguments: str) -> tuple[int, str]:
        status, out, err = self.run("admin", *arguments)
        assert out == ""
        assert err.count("\n") == 1
        return status, err


@pytest.fixture
def shell(capsys, monkeypatch, tmp_path) -> Shell:
    config = tmp_path / "hub.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "database": {"url": f"sqlite:///{tmp_path / 'hub.db'}"},
                "keys": {"directory": str(tmp_path / "keys")},
                "vpn": {"public_host": "vpn.example.com"},
            }
        )
    )
    return Shell(capsys, monkeypatch, str(config))


def test_from_nothing_to_a_technician_on_two_plants(shell):
    admin = shell.admin
    root = admin("bootstrap", "root@example.com")
    assert root["cloud_operator"]
    assert len(root["password"]) > 20
    admin("org", "create", "North")
    ada = admin("person", "create", "ada@north.example", "Ada", "--org", "North", "--role", "administrator")
    assert ada["password"] != root["password"]
    by_ada = ("--as", "ada@north.example")
    admin("person", "create", TOM, "Tom")
    admin("member", "add", "North", TOM, *by_ada)
    for plant in ("Wind", "Solar"):
        admin("plant", "create", "North", plant, *by_ada)
        admin("subnet", "add", plant, "192.168.1.0/24", *by_ada)
    admin("device", "add", "Wind", "inverter", "192.168.1.10")
    target = admin("target", "add", "Wind/inverter", "wind-inverter", "--scheme", "http")
    assert (target["host"], target["port"], target["host_mode"]) == ("wind-inverter", 80, "mix")
    totp = admin("person", "totp", TOM)
    assert totp["secret"] in totp["url"]
    assert admin("grant", "give", TOM, "Wind", "operator", *by_ada)["job"] == "operator"
    admin("grant", "give", TOM, "North/Solar", "operator", "--ends", "+4h")
    code = admin("enrolment-code", "create", "Wind", "--valid-for", "1h")
    assert len(code["code"].replace("-", "")) == 20
    key = WireGuardKey.generate().public
    profile = admin("profile", "create", TOM, "laptop", "--public-key", key, "--as", TOM)
    assert profile["address"] == "100.64.0.2"
    assert "Endpoint = vpn.example.com:51820\n" in profile["config"]
    assert f"Address = 100.64.0.2/32, {profile['address6']}/128\n" in profile["config"]
    routes = admin("route", "list", TOM, "--as", TOM)
    assert [(r["plant_name"], r["state"]) for r in routes] == [("Wind", "not yet reachable"), ("Solar", "conflict")]
    admin("route", "priority", TOM, "Solar", "--as", TOM)
    assert [r["state"] for r in admin("route", "list", TOM)] == ["conflict", "not yet reachable"]
    assert len(admin("grant", "revoke", TOM, "Solar")) == 1
    assert [r["plant_name"] for r in admin("route", "list", TOM)] == ["Wind"]
    assert admin("history", "--limit", "1")[0]["actor"] == "console"


def test_errors_are_one_line_and_an_exit_status(shell, monkeypatch):
    shell.admin("bootstrap", "root@example.com")
    assert shell.refused("bootstrap", "x@example.com") == (
        65,
        "plantgate-hub: there is a cloud operator already (sign in as that person)\n",
    )
    shell.admin("org", "create", "North")
    shell.admin("person", "create", TOM, "Tom", "--org", "North")
    assert shell.refused("plant", "create", "North", "Wind", "--as", TOM)[0] == 77
    assert "there is no plant 'Wind'" in shell.refused("subnet", "add", "Wind", "10.0.0.0/24")[1]
    shell.admin("plant", "create", "North", "Wind")
    assert "did you mean 192.168.1.0/24" in shell.refused("subnet", "add", "Wind", "192.168.1.5/24")[1]
    assert "there is no plant" in shell.refused("subnet", "list", "Wind", "--as", TOM)[1]
    assert "there is no job 'boss'" in shell.refused("grant", "give", TOM, "Wind", "boss")[1]
    assert "no WireGuard public key" in shell.refused("profile", "create", TOM, "x", "--public-key", "abc")[1]
    assert shell.refused("person", "password", TOM, "--password-file", "/nowhere")[0] == 78
    assert "there is no person" in shell.refused("plant", "list", "--as", "nobody@example.com")[1]


def test_a_list_shows_only_what_the_acting_person_may_know(shell):
    shell.admin("bootstrap", "root@example.com")
    for organization, person in (("North", "ada@north.example"), ("South", "sam@south.example")):
        shell.admin("org", "create", organization)
        shell.admin("person", "create", person, "Name", "--org", organization, "--role", "administrator")
        shell.admin("plant", "create", organization, f"{organization} plant")
    for kind, count in (("org", 1), ("plant", 1), ("person", 1)):
        assert len(shell.admin(kind, "list", "--as", "sam@south.example")) == count
    assert len(shell.admin("plant", "list")) == 2
    assert shell.admin("plant", "list", "--as", "root@example.com") == []
    assert len(shell.admin("org", "list", "--as", "root@example.com")) == 2
    assert shell.refused("history", "--as", "sam@south.example")[0] == 77
    assert shell.refused("service", "list", "North", "--as", "sam@south.example")[0] == 65


def test_a_password_from_a_file_is_not_shown(shell, tmp_path, monkeypatch):
    secret = tmp_path / "password"
    secret.write_text("correct horse battery\n")
    shown = shell.admin("bootstrap", "root@example.com", "--password-file", str(secret))
    assert "password" not in shown
    secret.write_text("short\n")
    assert "shorter than 12" in shell.refused("person", "create", TOM, "Tom", "--password-file", str(secret))[1]


def test_plain_output_is_readable(shell):
    shell.admin("bootstrap", "root@example.com")
    shell.admin("org", "create", "North")
    status, out, _ = shell.run("admin", "org", "list")
    assert status == 0
    header, row = out.splitlines()
    assert header.split() == ["id", "name"]
    assert row.endswith("North")
    shell.admin("plant", "create", "North", "Wind")
    code = shell.run("admin", "enrolment-code", "create", "Wind")[1]
    assert re.search(r"^expires: 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC$", code, re.MULTILINE)
    assert isinstance(shell.admin("enrolment-code", "create", "Wind")["expires"], float)
    assert shell.run("admin", "agent", "list")[1] == "none\n"
    assert shell.admin("agent", "list") == []


def test_version_and_example(monkeypatch, capsys):
    for argument, words in (("--version", "plantgate-hub 0."), ("example-config", "  # port: 443\n")):
        monkeypatch.setattr(sys, "argv", ["plantgate-hub", argument])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        assert words in capsys.readouterr().out


def test_db_upgrade_can_be_repeated_and_files_are_private(shell, tmp_path):
    for expected in (NEWEST, NEWEST):
        status, out, _ = shell.run("db", "upgrade", "--json")
        assert (status, json.loads(out)["migration"]) == (0, expected)
    assert os.stat(tmp_path / "hub.db").st_mode & 0o077 == 0
    assert json.loads(shell.run("db", "status", "--json")[1])["newest"] == NEWEST


def test_moments():
    assert [parse_span(text) for text in ("90s", "30m", "4h", "7d")] == [90, 1800, 14400, 604800]
    assert parse_moment("", 5.0) is None
    assert parse_moment("+1m", 5.0) == 65.0
    assert parse_moment("1970-01-01T00:01", 0) == parse_moment("1970-01-01T01:01+01:00", 0) == 60.0
    for text in ("+5", "tomorrow", "+x"):
        with pytest.raises(InvalidInput):
            parse_moment(text, 0.0)
