from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.configs import HEAD, group, jenkins
from tests.e2e.running import Up, make_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Start = Callable[..., Up]

SHARED = "".join(
    [
        HEAD,
        *map(jenkins, ("main", "moody")),
        group("sent", jobs=2, more='tags = { role = "sent" }'),
        group("cluster", more='mode = "stateful"\nsize = 2'),
        group("hooked", more='hook = "provision"'),
        group("abandoned", more='hook = "provision"\nattempts = 1\non_failure = "abandon"'),
        group("failing", more="attempts = 2"),
        group("unlucky"),
        group("patient", jenkins="moody", jobs=2),
        group("restless", jenkins="moody", jobs=2),
        group("beside"),
        group("quiet"),
    ]
)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Up]:
    """One local cloud for all tests that only use it. Each test has a group of its own."""
    up = Up(make_project(tmp_path_factory.mktemp("shared"), SHARED, cache)).ready()
    yield up
    code = up.stop()
    assert (code, up.left()) == (0, []), up.said()


@pytest.fixture
def start(tmp_path: Path, cache: Path) -> Iterator[Start]:
    """Starts local clouds of the test's own, and ends those that it left."""
    started: list[Up] = []

    def start_one(text: str, *words: str) -> Up:
        up = Up(make_project(tmp_path, text, cache), *words)
        started.append(up)
        return up

    yield start_one
    for up in started:
        if up.process.poll() is None:
            up.kill()
        up.close()
