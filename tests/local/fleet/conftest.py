from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.local.fleet.harness import Local, make_local

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    made = make_local(tmp_path)
    yield made
    made.service.journal.stop()
