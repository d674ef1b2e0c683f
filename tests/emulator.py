"""The local cloud's emulator for tests of other parts: one a session, with nothing else running."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from triggerfish.local import emulator
from triggerfish.local.environments import emulator_python
from triggerfish.local.process import Child
from triggerfish.runtime.aws import ANY_SERVICE, Clients, Credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "eu-west-1"
NOWHERE = "http://127.0.0.1:9"
"""The discard port: no invocation is expected."""


@contextmanager
def running_emulator(folder: Path) -> Iterator[str]:
    """Its URL, while it runs."""
    child = Child(
        "emulator",
        [
            str(emulator_python()),
            str(Path(emulator.__file__).parent / "launcher.py"),
            "--port=0",
            f"--state={folder / 'state'}",
            f"--sandbox-url={NOWHERE}",
            f"--region={REGION}",
        ],
        log=folder / "emulator.log",
    )
    try:
        yield str(child.wait_until_ready()["url"])
    finally:
        child.stop()


def clients_of(url: str) -> Clients:
    return Clients(
        region=REGION, endpoints={ANY_SERVICE: url}, credentials=Credentials("test", "test")
    )
