"""Snapshots of the whole fleet on disk, so that kill -9 loses nothing that was acknowledged.

One pickle of moto's backends and our state, written to a new file, flushed and renamed. Changes
that come while a snapshot is being written share the next one (group commit): a mutating API call
is answered once the snapshot that holds it is on disk.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GATHER_S = 0.005
"""How long changes nobody waits for gather before they are written."""
IDLE_GATHER_S = 0.25
"""As `GATHER_S`, for what may be lost: a delivered message that is struck off."""


class Journal:
    """`dump` returns the version it holds and its bytes; `committed` is told of each snapshot."""

    def __init__(
        self,
        path: Path,
        dump: Callable[[], tuple[int, bytes]],
        *,
        committed: Callable[[], None],
    ) -> None:
        self._path = path
        self._dump = dump
        self._committed = committed
        self._changed = threading.Condition()
        self._wanted = 0
        self._waiting = 0
        self._is_untidy = False
        self._failure: OSError | None = None
        self._stopping = False
        self.durable = 0
        self.commits = 0
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write what is left, and end."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(2)

    def want(self, version: int) -> None:
        """See that `version` gets to disk soon."""
        with self._changed:
            self._wanted = max(self._wanted, version)
            self._changed.notify_all()

    def tidy(self) -> None:
        """Something that may be lost has changed: write it when there is time."""
        with self._changed:
            self._is_untidy = True
            self._changed.notify_all()

    def wait(self, version: int) -> None:
        """Return once `version` is on disk; raise OSError when it can't be written."""
        with self._changed:
            self._wanted = max(self._wanted, version)
            self._waiting += 1
            self._changed.notify_all()
            try:
                self._changed.wait_for(lambda: self.durable >= version or self._failure is not None)
                if self._failure is not None and self.durable < version:
                    raise self._failure
            finally:
                self._waiting -= 1

    def _run(self) -> None:
        while self._gather():
            try:
                version = self._commit()
            except OSError as error:
                self._fail(error)
                continue
            with self._changed:
                self.durable, self._failure = version, None
                self._changed.notify_all()
            self._committed()

    def _gather(self) -> bool:
        """Wait until there is something to write; False when there never will be again."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping or self._wanted > self.durable or self._is_untidy
            )
            gather_s = GATHER_S if self._wanted > self.durable else IDLE_GATHER_S
            self._changed.wait_for(
                lambda: self._stopping or self._waiting or self._wanted > self.durable, gather_s
            )
            if not self._waiting and not self._stopping:
                self._changed.wait_for(lambda: self._stopping or self._waiting, GATHER_S)
            if self._stopping and self._wanted <= self.durable and not self._is_untidy:
                return False
            self._is_untidy = False
            return True

    def _commit(self) -> int:
        version, data = self._dump()
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self.commits += 1
        return version

    def _fail(self, error: OSError) -> None:
        sys.stderr.write(f"fleet: the state can't be written to {self._path}: {error}\n")
        with self._changed:
            self._failure = error
            self._changed.notify_all()
            if self._stopping:
                self._wanted, self._is_untidy = self.durable, False
        time.sleep(0.2)
