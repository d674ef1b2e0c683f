"""What the functions say while they run: their log files, line by line, as they grow."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class Follower:
    """Reads what was added to the functions' logs since the last look."""

    folder: Path
    """Where the sandbox keeps `<function>.log`, and `<function>.log.1` of before."""
    _places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    """How far each log was read: the number of its file, which a new log has not, and the byte."""

    def skip(self) -> None:
        """Pass over what was said so far."""
        for path in self.folder.glob("*.log"):
            status = path.stat()
            self._places[path] = status.st_ino, status.st_size

    def read(self) -> Iterator[dict[str, object]]:
        """The new lines that are a JSON object, as our log writes them."""
        for path in sorted(self.folder.glob("*.log")):
            for line in self._new_lines(path):
                _, brace, rest = line.partition("{")
                try:
                    told = json.loads(brace + rest)
                except (ValueError, RecursionError):
                    continue  # START, END and REPORT, and what isn't ours
                if isinstance(told, dict):
                    yield told

    def _new_lines(self, path: Path) -> list[str]:
        before = b""
        try:
            with path.open("rb") as log:
                status = os.fstat(log.fileno())
                file, position = self._places.get(path, (status.st_ino, 0))
                if file != status.st_ino:
                    before, position = _rest_of(path.with_suffix(".log.1"), file, position), 0
                elif status.st_size < position:
                    position = 0  # the log was cut and begun anew
                log.seek(position)
                text = log.read()
        except FileNotFoundError:
            return []  # it's being put aside; there is a new one at the next look
        whole, newline, _ = text.rpartition(b"\n")
        self._places[path] = status.st_ino, position + len(whole) + len(newline)
        return (before + whole).decode("utf-8", errors="replace").split("\n")


def _rest_of(path: Path, file: int, position: int) -> bytes:
    """What was not yet read of a log that was put aside as `path`, if that's where it is."""
    try:
        with path.open("rb") as log:
            if os.fstat(log.fileno()).st_ino != file:
                return b""
            log.seek(position)
            return log.read()
    except FileNotFoundError:
        return b""
