"""What the functions say while they run: their log files, line by line, as they grow."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class Follower:
    """Reads what was added to the functions' logs since the last look."""

    folder: Path
    """Where the sandbox keeps `<function>.log`."""
    _positions: dict[Path, int] = field(default_factory=dict)

    def skip(self) -> None:
        """Pass over what was said so far."""
        for path in self.folder.glob("*.log"):
            self._positions[path] = path.stat().st_size

    def read(self) -> Iterator[dict[str, object]]:
        """The new lines that are a JSON object, as our log writes them."""
        for path in sorted(self.folder.glob("*.log")):
            for line in self._new_lines(path):
                _, brace, rest = line.partition("{")
                try:
                    told = json.loads(brace + rest)
                except ValueError:
                    continue  # START, END and REPORT, and what isn't ours
                if isinstance(told, dict):
                    yield told

    def _new_lines(self, path: Path) -> list[str]:
        position = self._positions.get(path, 0)
        if path.stat().st_size < position:
            position = 0  # the log was cut and begun anew
        with path.open("rb") as log:
            log.seek(position)
            text = log.read()
        whole = text.rpartition(b"\n")[0]
        self._positions[path] = position + len(whole) + (1 if whole else 0)
        return whole.decode("utf-8", errors="replace").splitlines()
