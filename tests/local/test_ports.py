"""Ports are free, of loopback, each its own, and the same after a restart where they can be."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest

from triggerfish.local.ports import choose_ports

if TYPE_CHECKING:
    from pathlib import Path


def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def test_each_part_has_a_port_of_its_own(tmp_path: Path) -> None:
    ports = choose_ports(["aws", "fleet", "sandbox"], tmp_path / "state" / "ports.json")
    assert list(ports) == ["aws", "fleet", "sandbox"]
    assert len(set(ports.values())) == 3
    for port in ports.values():
        with socket.create_server(("127.0.0.1", port)):
            pass


def test_ports_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    first = choose_ports(["aws", "fleet"], file)
    assert choose_ports(["aws", "fleet"], file) == first


def test_port_that_is_taken_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    first = choose_ports(["aws", "fleet"], file)
    with socket.create_server(("127.0.0.1", first["aws"])):
        second = choose_ports(["aws", "fleet"], file)
    assert second["aws"] != first["aws"]
    assert second["fleet"] == first["fleet"]
    assert choose_ports(["aws", "fleet"], file) == second


def test_port_of_a_part_that_is_away_is_remembered(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    first = choose_ports(["aws", "jenkins-main"], file)
    choose_ports(["aws"], file)
    assert choose_ports(["aws", "jenkins-main"], file) == first


def test_two_parts_never_share_a_port(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    with listening() as one:
        port = one.getsockname()[1]
    file.write_text(json.dumps({"aws": port, "fleet": port}))
    ports = choose_ports(["aws", "fleet"], file)
    assert ports["aws"] == port
    assert ports["fleet"] != port


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"aws": "x"}', '{"aws": 99999999}', '{"aws": -1}', '{"aws": 1e99}', "\x00"],
)
def test_file_that_says_nonsense_is_not_heeded(tmp_path: Path, text: str) -> None:
    file = tmp_path / "ports.json"
    file.write_text(text)
    ports = choose_ports(["aws"], file)
    assert 1024 <= ports["aws"] < 65536
    assert json.loads(file.read_text()) == ports
