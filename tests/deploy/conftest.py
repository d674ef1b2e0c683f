"""The emulator, started once a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.emulator import clients_of, running_emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from triggerfish.runtime.aws import Clients


@pytest.fixture(scope="session")
def aws_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_emulator(tmp_path_factory.mktemp("emulator")) as url:
        yield url


@pytest.fixture
def clients(aws_url: str) -> Iterator[Clients]:
    clients = clients_of(aws_url)
    yield clients
    clients.close()
