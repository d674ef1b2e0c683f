"""The local cloud's place in a project: one at a time, findable, with state that outlives it.

.triggerfish/local/lock        held while a local cloud runs
.triggerfish/local/parts       held while a part of it runs, also one whose parent was killed
.triggerfish/local/up.json     what runs and where, from when it's ready until it's stopped
.triggerfish/local/logs/       what each process said
.triggerfish/local/state/      what survives, also `kill -9`
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import msgspec

from triggerfish.errors import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER = ".triggerfish/local"
LOOKED_AT_S = 0.3
"""A command that looks whether a local cloud runs holds the lock for an instant."""
PARTS_LEAVE_S = 5.0


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A local cloud that is ready. `addresses` are URLs by part: aws, fleet, sandbox, jenkins."""

    pid: int
    started_at: str
    stack: str
    region: str
    addresses: dict[str, str]
    parameters: dict[str, str]
    """What the functions have in TRIGGERFISH_PARAMETERS: zone ids and Jenkins addresses."""


class LocalProject:
    """The folders of one project's local cloud."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.folder = project / FOLDER
        self.logs = self.folder / "logs"
        self.state = self.folder / "state"
        self._running = self.folder / "up.json"

    @property
    def cache(self) -> Path:
        return self.project / ".triggerfish/cache"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the one local cloud of the project. Raises Refused, with its address, if one runs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not _lock(descriptor, LOOKED_AT_S):
                raise self._refusal()
            self._running.unlink(missing_ok=True)  # of one that was killed
            try:
                yield
            finally:
                self._running.unlink(missing_ok=True)
        finally:
            os.close(descriptor)

    @contextmanager
    def free_of_parts(self) -> Iterator[int]:
        """Begin and end when no part of a local cloud runs; two on one state would ruin it.

        Gives a descriptor for every part to inherit: the last one that ends frees the place, also
        when all of this was killed.
        """
        descriptor = self._free_place(PARTS_LEAVE_S)
        if descriptor is None:
            raise Unavailable(
                f"parts of a local cloud that was killed still run in {self.project}",
                hint="try again in a few seconds",
            )
        try:
            yield descriptor
        finally:
            os.close(descriptor)
            # One may have been started in the very moment of the Ctrl-C: it leaves by itself.
            with suppress(FileNotFoundError):  # somebody removed the folder meanwhile
                left = self._free_place(PARTS_LEAVE_S)
                if left is not None:
                    os.close(left)

    def _free_place(self, within_s: float) -> int | None:
        descriptor = os.open(self.folder / "parts", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if _lock(descriptor, within_s):
            return descriptor
        os.close(descriptor)
        return None

    def announce(self, running: Running) -> None:
        """Let every other command find it."""
        text = msgspec.json.format(msgspec.json.encode(running))
        beside = self._running.with_suffix(".new")
        beside.write_bytes(text)
        beside.replace(self._running)

    def running(self) -> Running | None:
        """The local cloud that is ready now, if there is one."""
        try:
            return msgspec.json.decode(self._running.read_bytes(), type=Running)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    def expect_running(self) -> Running:
        """Raises Unavailable when no local cloud runs: one that was killed doesn't."""
        running = self.running() if self._is_locked() else None
        if running is None:
            raise Unavailable(
                f"no local cloud runs in {self.project}", hint="start it with `triggerfish up`"
            )
        return running

    def forget_state(self) -> None:
        """Start from nothing. Call it with the lock held."""
        shutil.rmtree(self.state, ignore_errors=True)
        shutil.rmtree(self.logs, ignore_errors=True)

    def _is_locked(self) -> bool:
        try:
            descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(descriptor)

    def _refusal(self) -> Refused:
        running = self.running()
        if running is None:
            return Refused(f"a local cloud is starting in {self.project}")
        where = ", ".join(f"{name} at {url}" for name, url in running.addresses.items())
        return Refused(
            f"a local cloud runs here already (process {running.pid}): {where}",
            hint="use it from any terminal in this project, or stop it with Ctrl-C where it runs",
        )


def _lock(descriptor: int, within_s: float) -> bool:
    end = time.monotonic() + within_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        else:
            return True
