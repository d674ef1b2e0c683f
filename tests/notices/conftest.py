from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tests.local.emulator.kit import Emulator, Sandbox
from triggerfish.runtime import log

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(log, "_process", {})
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One for the whole run: a test names what it makes by itself."""
    sandbox = Sandbox()
    made = Emulator(tmp_path_factory.mktemp("emulator"), sandbox.url).start()
    yield made
    made.stop()
    sandbox.close()
