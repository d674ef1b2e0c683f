from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.local.sandbox.lab import Lab
from triggerfish.local.fakes.lambda_api import FakeLambdaApi

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One sandbox for all tests that don't end it; each makes functions of its own."""
    with FakeLambdaApi() as api:
        made = Lab(api, tmp_path_factory.mktemp("sandbox"))
        yield made
        assert made.stop() == 0
        assert "Traceback" not in made.said
