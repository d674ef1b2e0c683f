from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.project import Project

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Project:
    """A project with a config and nothing running; commands run in a folder below it."""
    below = tmp_path / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    return Project(tmp_path, capsys)
