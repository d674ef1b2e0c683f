from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from triggerfish.local.process import Child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Start = Callable[..., Child]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts children that run a piece of Python, and ends those that the test left."""
    started: list[Child] = []

    def start_child(code: str, **more: object) -> Child:
        made = Child(
            "sample",
            [sys.executable, "-c", code],
            log=tmp_path / "logs" / "sample.log",
            **more,  # type: ignore[arg-type]
        )
        started.append(made)
        return made

    yield start_child
    for each in started:
        each.stop()
