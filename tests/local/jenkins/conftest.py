from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.local.jenkins.standing import Running, standing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def jenkins(tmp_path: Path) -> Iterator[Running]:
    with standing(tmp_path / "state") as running:
        yield running
