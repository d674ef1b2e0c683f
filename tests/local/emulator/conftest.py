from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.local.emulator.kit import Emulator, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox()
    yield made
    made.close()


@pytest.fixture(scope="session")
def emulator(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One for the whole run: a test names what it makes by itself."""
    made = Emulator(tmp_path_factory.mktemp("emulator"), sandbox.url).start()
    yield made
    made.stop()


@pytest.fixture
def alone(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One of the test's own, for tests that kill it."""
    made = Emulator(tmp_path_factory.mktemp("alone"), sandbox.url).start()
    yield made
    made.kill()
