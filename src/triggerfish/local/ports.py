"""Loopback ports for the local cloud's parts, the same after a restart while they are free."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HOST = "127.0.0.1"


def choose_ports(parts: Sequence[str], kept_in: Path) -> dict[str, int]:
    """A free port for each part; those of `kept_in` again where they are free."""
    try:
        known = msgspec.json.decode(kept_in.read_bytes(), type=dict[str, int])
    except (FileNotFoundError, msgspec.MsgspecError):
        known = {}
    held: list[socket.socket] = []
    ports: dict[str, int] = {}
    try:
        for part in parts:
            port = known.get(part, 0)
            one = _bind(0 if port in ports.values() else port)
            held.append(one)
            ports[part] = one.getsockname()[1]
    finally:
        for one in held:
            one.close()
    kept_in.parent.mkdir(parents=True, exist_ok=True)
    kept_in.write_bytes(msgspec.json.encode({**known, **ports}))
    return ports


def _bind(port: int) -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # A port of a child that was killed lingers in TIME_WAIT; servers bind it all the same.
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        one.bind((HOST, port))
    except (OSError, OverflowError):
        one.bind((HOST, 0))
    return one
